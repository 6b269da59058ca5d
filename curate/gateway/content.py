"""What JSON that is sent to FiftyOne's server may hold.

FiftyOne makes a Python object of whatever class a "_cls" in a request names, with the arguments that the
request gives: whoever may send it any request may run any program. Only these classes may be named, and of
MongoDB's operators only those that look at one document.
"""

from collections.abc import Collection, Iterator
from typing import Any

STAGES_OF = "fiftyone.core.stages."
STAGES = frozenset({
    "Exclude", "ExcludeBy", "ExcludeFields", "ExcludeLabels", "Exists", "FilterField", "FilterLabels",
    "GroupBy", "Limit", "LimitLabels", "Match", "MatchLabels", "MatchTags", "Select", "SelectBy",
    "SelectFields", "SelectLabels", "Shuffle", "Skip", "SortBy", "Take",
})  # fmt: skip
AGGREGATIONS_OF = "fiftyone.core.aggregations."
AGGREGATIONS = frozenset({
    "Bounds", "Count", "CountValues", "Distinct", "HistogramValues", "Max", "Mean", "Min", "Quantiles",
    "Std", "Sum", "Values",
})  # fmt: skip
PLAIN_CLASSES = frozenset({
    "Space", "Panel", "DateTime", "Date", "ObjectId",
    "Detection", "Detections", "Polyline", "Polylines", "Classification", "Classifications",
})  # fmt: skip
CLASSES = frozenset(
    {STAGES_OF + name for name in STAGES} | {AGGREGATIONS_OF + name for name in AGGREGATIONS} | PLAIN_CLASSES
)
OPERATORS = frozenset(
    "$" + name
    for name in (
        "abs add all and anyElementTrue allElementsTrue arrayElemAt ceil cmp concat concatArrays cond "
        "dateToString dayOfMonth dayOfWeek dayOfYear divide elemMatch eq exists exp expr filter first floor "
        "gt gte hour ifNull in indexOfArray isArray isNumber last let literal ln log lt lte ltrim map max "
        "mergeObjects min minute mod month multiply ne nin nor not objectToArray or pow rand range reduce "
        "regexMatch replaceAll reverseArray round rtrim second setDifference setEquals setIntersection "
        "setIsSubset setUnion size slice split sqrt strLenBytes strLenCP substrBytes subtract sum switch "
        "toBool toDate toDouble toInt toLower toObjectId toString toUpper trim trunc type week year zip oid "
        "date uuid binary numberInt numberLong numberDouble "
    ).split()
)
DATASET_KEYS = frozenset({
    "dataset", "dataset_name", "datasetname", "dataset_id", "datasetid", "dataset_ids", "datasetids",
    "src_dataset", "generated_dataset", "generateddataset",
})  # fmt: skip
DEEPEST = 60
LARGEST_N = 500_000


def breaches(value: Any, datasets: Collection[str]) -> Iterator[str]:
    """What a request may not hold, in words; nothing = it may be passed on.

    Args:
        value: JSON.
        datasets: names and ids of the one dataset that may be named.
    """
    left = [(value, 0)]
    n_seen = 0
    while left:
        found, depth = left.pop()
        n_seen += 1
        if depth > DEEPEST or n_seen > LARGEST_N:
            yield "nested too deeply, or too long"
            return
        if isinstance(found, dict):
            for key, inner in found.items():
                yield from _of_entry(str(key), inner, datasets)
                left.append((inner, depth + 1))
        elif isinstance(found, list):
            left.extend((inner, depth + 1) for inner in found)
            if len(found) == 2 and found[0] == "_cls":  # arguments are written as pairs, too
                yield from _of_entry("_cls", found[1], datasets)


def _of_entry(key: str, value: Any, datasets: Collection[str]) -> Iterator[str]:
    if key == "_cls" and not (isinstance(value, str) and value in CLASSES):
        yield "a class that may not be named"
    elif key.startswith("fiftyone.") and key not in CLASSES:
        yield "a view stage that may not be used"
    elif key.startswith("$") and key not in OPERATORS:
        yield f"the operator {key[:30]}"
    elif key.lower() in DATASET_KEYS and not _is_ours(value, datasets):
        yield "another dataset"


def _is_ours(value: Any, datasets: Collection[str]) -> bool:
    if value is None or value == "":
        return True
    if isinstance(value, list):
        return all(_is_ours(each, datasets) for each in value)
    return isinstance(value, str) and value in datasets
