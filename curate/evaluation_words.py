"""An evaluation in plain words: the sentences, names and notes of its page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.chart_parts import fraction

Part = Mapping[str, Any]
FIGURES = {  # name -> title, what it says
    "image_auroc": ("Image AUROC", "chance that an anomalous image scores above a normal one"),
    "image_average_precision": ("Image average precision", "precision, averaged over anomalous images"),
    "image_f1_max": ("Image F1-max (oracle)", "best F1 of any threshold on these very images: a ceiling"),
    "tpr_at_fpr": ("Found at a false-alarm rate of {fpr:g}", "share of the anomalous images found"),
    "tnr_at_miss_rate": ("Passed at a miss rate of {miss_rate:g}", "share of the normal images that pass"),
    "precision_at_defect_rate": (
        "Precision at a defect rate of {defect_rate:g}", "share of alarms on the line that are right"
    ),
    "pixel_auroc": ("Pixel AUROC", "chance that a defect pixel scores above a normal one"),
    "pixel_average_precision": ("Pixel average precision", "precision, averaged over defect pixels"),
    "pixel_f1_max": ("Pixel F1-max (oracle)", "best F1 of any map threshold, chosen on these very images"),
    "seg_f1": ("Pixel F1 at the map threshold", "of predicted masks, over the pixels of all images"),
    "pixel_precision": ("Pixel precision at the map threshold", "share of predicted pixels that are right"),
    "pixel_recall": ("Pixel recall at the map threshold", "share of the defect pixels that are predicted"),
    "aupro_0.3": ("AUPRO 0.3", "overlap with each region, averaged up to a pixel false-positive rate of 0.3"),
    "aupro_0.05": ("AUPRO 0.05", "the same up to 0.05"),
    "aupimo": ("AUPIMO", "recall of each image at very few false pixels on normal images"),
}  # fmt: skip
REDUCTIONS = {"detector": "the detector's own"}
MEASURES = {"found_any": "any pixel", "found_overlap": "overlap of {min_overlap:g} or more"}


def sentence(category: str, detector: str, part: Part) -> str:
    """One sentence about a category at its threshold, with the numbers.

    Args:
        part: of a detector and category, after data_schemas/evaluation.json.
    """
    found, counts, auroc = part["at_threshold"], part["counts"], part["image"]["image_auroc"]
    ranking = "" if auroc["value"] is None else f" Image AUROC {fraction(auroc['value'])}{interval(auroc)}."
    if found is None:
        return f"{category}: no threshold holds for {detector}. {part['threshold']['note']}{ranking}"
    n_normal, n_alarms = counted(counts["n_normal"], "normal image"), found["n_false_alarms"]
    alarms = f"{counted(n_alarms, 'false alarm')} among {n_normal}"
    misses = f"{counted(found['n_missed'], 'miss', 'misses')} among {counts['n_anomalous']:,} anomalous"
    if not counts["n_normal"]:
        alarms = "no normal image, so false alarms are not known"
    if not counts["n_anomalous"]:
        misses = "no anomalous image, so misses are not known"
    looked = found["n_reviewed_normal"] + found["n_reviewed_anomalous"]
    band = part["threshold"]["band"] != "none"
    review = f", and {counted(looked, 'image')} for a person to look at" if band else ""
    return (
        f"{category}: at the threshold {how(part['threshold'])}, {detector} shows on the test part "
        f"{alarms}{interval(found['false_alarm_rate']) if counts['n_normal'] else ''} and {misses}"
        f"{interval(found['miss_rate']) if counts['n_anomalous'] else ''}{review}.{ranking}"
    )


def how(threshold: Part) -> str:
    """How a threshold came about."""
    if threshold["source"] == "decision":
        nothing = " (no finite one: a person looks at everything)" if threshold["value"] is None else ""
        return f"chosen by {threshold['rule']}{nothing}"
    return f"of the rule {threshold['rule']} on the calibration part (nothing was decided)"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(0, "miss", "misses"), counted(1, "image"), counted(1200, "image")
    ('no miss', '1 image', '1,200 images')
    """
    if n == 0:
        return f"no {one}"
    return f"1 {one}" if n == 1 else f"{n:,} {many or one + 's'}"


def interval(estimate: Part, bare: bool = False) -> str:
    """The interval of an estimate, as it stands behind a number; "" without one.

    >>> interval({"low": 0.1, "high": 0.25, "level": 0.95})
    ' (0.95 interval 0.100 to 0.250)'
    """
    if estimate["low"] is None or estimate["high"] is None:
        return ""
    ends = f"{fraction(estimate['low'])} to {fraction(estimate['high'])}"
    return ends if bare else f" ({estimate['level']:g} interval {ends})"


def title_of(metric: str, options: Part) -> tuple[str, str]:
    """Name of a figure, and what it says."""
    if metric.startswith("auc_spro_"):
        return f"AUC-sPRO {metric.removeprefix('auc_spro_')}", "saturated overlap of each defect channel"
    title, meaning = FIGURES.get(metric, (metric.replace("_", " "), ""))
    if "{" in title and any(f"{{{key}:g}}" in title and options[key] is None for key in options):
        return metric.replace("_", " "), "needs --defect-rate"
    return title.format(**options), meaning


def caveats(evaluation: Part) -> list[str]:
    """What a reader has to know before relying on the figures: one sentence each, with where it holds."""
    places: dict[tuple[str, str], list[str]] = {}
    for detector, category, text in _caveats(evaluation):
        held = places.setdefault((detector, text), [])
        held += [category] if category not in held else []
    out = []
    for (detector, text), categories in places.items():
        where = ", ".join(name for name in categories if name)
        both = f"{detector} ({where})" if detector and where else detector or where
        out.append(f"{both}: {text}")
    return out


def _caveats(evaluation: Part) -> Iterator[tuple[str, str, str]]:
    """Detector, category and text; either of the first two may be empty."""
    for category, images in evaluation["images"].items():
        if images["n_unknown"]:
            n = counted(images["n_unknown"], "test image")
            yield "", category, f"{n} without a label, which do not count."
        for label in ("normal", "anomalous"):
            if not images[f"n_{label}"]:
                text = f"no test image is {label}, so figures that need both labels are absent."
                yield "", category, text
    for detector in evaluation["detectors"]:
        for category, part in detector["categories"].items():
            for text in _about_truth(part):
                yield "", category, text  # the same for every detector, so it is said once
            for text in _about_part(part):
                yield detector["detector"], category, text
        for category, own in (detector["about"].get("own_masks") or {}).items():
            yield detector["detector"], category, _about_own(own)
        for warning in detector["about"]["warnings"] or ():
            yield detector["detector"], "", warning


def _about_truth(part: Part) -> Iterator[str]:
    truth = part["truth"]
    if truth["weak"]:
        yield (
            f"{counted(truth['weak'], 'mask is', 'masks are')} weak, drawn with room to spare, so "
            "pixel figures cannot be compared with those on tight masks."
        )
    if truth["boxes"]:
        yield (
            f"{counted(truth['boxes'], 'image has', 'images have')} boxes only; their whole area "
            "counts as defect in pixel figures."
        )
    if truth["none"]:
        names = _named(part["without_truth"], "anomalous image")
        yield f"{names} without pixel truth; they count in image figures only."


def _about_own(own: Mapping[str, int]) -> str:
    """That a detector is measured on what it drew itself."""
    images = counted(own["n_images"], "test image has a mask", "test images have masks")
    return (
        f"{images} that people took from this detector's own proposals, {own['n_unedited']:,} unedited; "
        "that flatters its pixel and object figures, and not those of other detectors."
    )


def _about_part(part: Part) -> Iterator[str]:
    if part["without_map"]:
        names = _named(part["without_map"], "image")
        yield f"{names} without an anomaly map; they count in image figures only."
    if part["not_finite"]:
        names = _named(part["not_finite"], "map")
        yield f"{names} with NaN or infinite values; pixel figures leave them out."
    if part["scores_not_finite"]:
        names = _named(part["scores_not_finite"], "image")
        yield f"{names} with a score that is NaN or infinite; everything leaves them out."
    for warning in part["threshold"]["warnings"]:
        yield f"the rule {part['threshold']['rule']} says: {warning}"
    if part["threshold"]["source"] == "calibration":
        rule = part["threshold"]["rule"]
        yield f"no threshold was decided; the rule {rule} on the calibration part stands in."


def _named(names: Sequence[str], what: str, most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{counted(len(names), what)} ({', '.join(names[:most])}{more})"
