"""The threshold that holds for a detector: the decided one, else a plain rule on the calibration part."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from curate.anomaly_maps import read_raw
from curate.evaluation_decision import Threshold
from curate.steps.record import Context
from curate.steps.threshold_record import data_of
from curate.tables import to_rows
from curate.threshold_decisions import Decision, of_these_scores, read, standing
from curate.threshold_evidence import Evidence
from curate.thresholds import max_normal

FALLBACK = "max_normal"
MAP_LEVELS = ("region", "pixel")


def decisions_of(context: Context, detector: str) -> dict[str, Decision]:
    """The decisions that stand for a detector and are about the scores as they are now, by level."""
    history = read(context.paths.decisions)
    found = {}
    for level in ("image", *MAP_LEVELS):
        decision = standing(history, detector, level)
        if decision is None:
            continue
        if of_these_scores(decision, data_of(context, detector)):
            found[level] = decision
        else:
            context.say(
                f"The threshold {decision['id']} of {detector} was chosen on other scores and does not "
                f"count. Choose again with: curate threshold {context.paths.name} --detector {detector}"
            )
    return found


def in_force(decisions: Mapping[str, Decision], category: str, calibration: pd.DataFrame) -> Threshold:
    """The threshold of the image scores of a category.

    Args:
        decisions: see decisions_of.
        calibration: labelled calibration images of the category.
    """
    decision = decisions.get("image")
    chosen = None if decision is None else decision["by_category"].get(category)
    if decision is not None and chosen is not None:
        nothing = chosen["reason"] or "The calibration part supports no finite threshold."
        return Threshold(
            chosen["threshold"],
            chosen["review_from"],
            decision["rule"],
            "decision",
            nothing if chosen["threshold"] is None else "",
            chosen["claim"],
            (*([chosen["reason"]] if chosen["reason"] else []), *chosen["warnings"]),
            chosen["band"],
        )
    normal = calibration[calibration["label"] == "normal"]
    scores = normal["anomaly_score"].to_numpy(dtype=np.float64)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return Threshold(None, note="The calibration part has no normal image to take a threshold from.")
    cut = max_normal.choose(Evidence.of(scores, np.zeros(len(scores), dtype=bool)))
    return Threshold(float(cut.threshold), None, FALLBACK, "calibration")


def map_threshold(
    context: Context,
    detector: str,
    decisions: Mapping[str, Decision],
    category: str,
    rows: Mapping[str, pd.DataFrame],
    cut: Threshold,
) -> tuple[float | None, str]:
    """From where on map values count as found, and in words how that was chosen.

    What was decided about regions, else about pixels. Else, where the image score is the maximum of the map,
    the threshold of the scores. Else the next number above the highest map value of the normal calibration
    images.

    Args:
        rows: "test" and "calibration": the sample table with anomaly_score, reduction and raw_map.
    """
    for level in MAP_LEVELS:
        chosen = decisions[level]["by_category"].get(category) if level in decisions else None
        if chosen is not None and chosen["threshold"] is not None:
            return chosen["threshold"], f"decided about {level}s by {decisions[level]['rule']}"
    test, folder = rows["test"], context.paths.detector(detector)
    if cut.value is not None and "reduction" in test and len(test) and (test["reduction"] == "max").all():
        return cut.value, "the threshold of the image scores, which are the maximum of the map"
    calibration = rows["calibration"]
    normal = [row for row in to_rows(calibration[calibration["label"] == "normal"]) if row["raw_map"]]
    values = [float(np.max(read_raw(folder / row["raw_map"]))) for row in normal]
    if not values:
        return None, "the calibration part has no normal image with a map"
    return float(np.nextafter(np.float32(max(values)), np.float32(np.inf))), (
        f"just above the highest map value of {len(values)} normal calibration images"
    )
