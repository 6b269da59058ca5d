"""What the threshold panel shows: scores and labels of the images that decide, and the lines in force."""

import base64
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from curate.images import Array
from curate.store.appearance import detectors_of
from curate.store.dataset import load
from curate.store.failures import database_errors
from curate.store.fields import detector_fields
from curate.store.heatmaps import DECISIONS
from curate.store.marks import KEY
from curate.store.verdicts import collection_of

LABELS = ("normal", "anomalous", "unknown")
PARTS = ("calibration", "test")
OPEN = "open"  # a review band without a lower end
FAR_BELOW = -1e300
Row = dict[str, Any]


@database_errors()
def content(
    dataset_name: str,
    detector: str | None = None,
    left_out: Callable[[str], Collection[str]] = lambda name: (),
) -> Row:
    """Everything the panel draws, fit for JSON; numbers are base64, as 100,000 would be slow as text.

    Args:
        detector: name as in the fields; None: that of the threshold in force, else the first with scores.
        left_out: of a detector, sample ids that are no evidence, because it learned from their parts.

    Returns:
        detector; detectors that have scores; field of the scores; categories, lots: names that `parts`
        counts; parts: calibration and test, see `packed`; lines: see `in_force`; left_out.

    Raises:
        Missing: no such dataset.
    """
    dataset = load(dataset_name)
    collection = collection_of(dataset_name)
    known = [name for name in detectors_of(dataset) if _has_scores(collection, name)]
    chosen = detector if detector in known else next(iter(known), None)
    inside = {"assigned_split": {"$in": list(PARTS)}}
    aside = sorted(left_out(chosen)) if chosen else []
    rows = _rows(collection, chosen, inside, set(aside)) if chosen else []
    categories = sorted({row["category"] for row in rows})
    lots = sorted({row["lot"] for row in rows if row.get("lot")})
    return {
        "detector": chosen,
        "detectors": known,
        "field": detector_fields(chosen)[0] if chosen else None,
        "categories": categories,
        "lots": lots,
        "parts": {
            part: packed(
                [row for row in rows if row["assigned_split"] == part], chosen or "", categories, lots
            )
            for part in PARTS
        },
        "lines": in_force(dataset.info, chosen),
        "left_out": aside,
    }


def _has_scores(collection: Any, detector: str) -> bool:
    return collection.find_one({detector_fields(detector)[0]: {"$ne": None}}, {"_id": 1}) is not None


def _rows(collection: Any, detector: str, inside: Row, left_out: set[str]) -> list[Row]:
    score = detector_fields(detector)[0]
    wanted = {"_id": 0, score: 1, "label": 1, "category": 1, "lot": 1, "assigned_split": 1}
    wanted |= {"sample_id": 1} if left_out else {}
    found = collection.find({**inside, score: {"$ne": None}}, wanted, batch_size=20_000)
    return [row for row in found if row.get("sample_id") not in left_out and math.isfinite(row[score])]


def packed(rows: list[Row], detector: str, categories: list[str], lots: list[str]) -> Row:
    """Numbers of one part in ascending order of score, little-endian, in base64.

    Args:
        rows: documents with a score of the detector, label, category and maybe lot.

    Returns:
        n; scores: float64, which is what the threshold is compared with; labels: uint8, places in LABELS;
        categories, lots: uint16, places in the lists; a lot that is not known has the place after the last.
    """
    score = detector_fields(detector)[0]
    order = sorted(range(len(rows)), key=lambda index: rows[index][score])
    label_of = {name: index for index, name in enumerate(LABELS)}
    category_of = {name: index for index, name in enumerate(categories)}
    lot_of = {name: index for index, name in enumerate(lots)}

    def text(values: list[Any], kind: str) -> str:
        return base64.b64encode(np.array(values, dtype=kind).tobytes()).decode()

    ordered = [rows[index] for index in order]
    return {
        "n": len(rows),
        "scores": text([row[score] for row in ordered], "<f8"),
        "labels": text([label_of[row["label"]] for row in ordered], "u1"),
        "categories": text([category_of[row["category"]] for row in ordered], "<u2"),
        "lots": text([lot_of.get(row.get("lot") or "", len(lots)) for row in ordered], "<u2"),
    }


def unpacked(text: str, kind: str) -> Array:
    """The numbers of `packed`."""
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def in_force(info: Mapping[str, Any], detector: str | None) -> Row:
    """Thresholds that hold now, by category, and who decided them.

    Args:
        info: of the dataset.
        detector: whose scores are looked at.

    Returns:
        by_category: category (under "" one for all) -> threshold, None where there is only a review band;
        review_from, None without a band, "open" where it has no lower end; and decided: id, by, at, rule,
        origin and why of the decision that the line comes from, None where it is not recorded. Empty where
        nothing is decided about this detector. lapsed: what was decided is about earlier scores.
    """
    held = info.get("curate") or {}
    lapsed = _lapsed(info)
    if detector is None or lapsed or held.get("detector") != detector:
        return {"by_category": {}, "lapsed": lapsed and held.get("detector") == detector}
    stored = held.get("threshold")
    pairs = stored if isinstance(stored, list) else [] if stored is None else [["", stored]]
    values, bands = dict(pairs), dict(held.get("review_from") or [])
    rows = {
        name: {
            "threshold": values.get(name),
            "review_from": _lower(bands.get(name)),
            "decided": _decided(info.get(DECISIONS) or [], detector, name),
        }
        for name in sorted({*values, *bands})
    }
    return {"by_category": rows, "lapsed": False}


def _lower(value: float | None) -> float | str | None:
    return OPEN if value is not None and value < FAR_BELOW else value


def _lapsed(info: Mapping[str, Any]) -> bool:
    """Whether a workspace keeps this dataset up to date, and holds no threshold that fits the scores now."""
    marks = {part: str(checksum) for part, checksum in info.get(KEY) or []}
    return (
        bool(info.get("curate")) and bool(marks) and marks.get("threshold", "outdated").startswith("outdated")
    )


def _decided(history: Sequence[Row], detector: str, category: str) -> Row | None:
    """The decision that a category's line comes from: the one that stands, or the one it was kept from."""
    own = [row for row in history if detector_fields(row["detector"])[0] == detector_fields(detector)[0]]
    standing = [row for row in own if row["level"] == "image" and row.get("stands", True)]
    if not standing:
        return None
    cuts = {row["category"]: row for row in standing[-1]["by_category"]}
    first = cuts.get(category, {}).get("facts", {}).get("kept_from")
    found = next((row for row in own if row["id"] == first), standing[-1])
    return {key: found.get(key) for key in ("id", "by", "at", "rule", "origin", "why")}
