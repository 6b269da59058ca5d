"""Warns of images that are normal by a verdict only, and lift thresholds; nothing is left out for it."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate import doubtful_normals, tables
from curate.errors import listed
from curate.steps.record import Context

if TYPE_CHECKING:
    from curate.steps.propose_threshold import Cut

Row = dict[str, Any]


def normal_by_source(context: Context) -> set[str]:
    """Sample ids of the images that the source itself calls normal."""
    wanted = ("sample_id", "label")
    rows = (row for batch in tables.batches(context.paths.samples, columns=wanted) for row in batch)
    return {row["sample_id"] for row in rows if row["label"] == "normal"}


def found(normal: Sequence[Row], of_source: Collection[str]) -> Row | None:
    """The doubtful ones among the normal calibration images of a category; None: there are none.

    Args:
        normal: rows with anomaly_score and verdict_by.
        of_source: see normal_by_source.

    Returns:
        images (sample_id, relative_path, anomaly_score, z and by each), n_normal, n_by_verdict, rule.
    """
    judged = [row for row in normal if row["sample_id"] not in of_source]
    others = [float(row["anomaly_score"]) for row in normal if row["sample_id"] in of_source]
    doubts = doubtful_normals.find([float(row["anomaly_score"]) for row in judged], others)
    if not doubts.places:
        return None
    images = [
        {key: judged[place][key] for key in ("sample_id", "relative_path", "anomaly_score")}
        | {"z": z, "by": judged[place]["verdict_by"]}
        for place, z in zip(doubts.places, doubts.z, strict=True)
    ]
    return {"images": images, "n_normal": len(normal), "n_by_verdict": len(judged), "rule": doubts.rule}


def told(context: Context, detector: str, cuts: Mapping[str, "Cut"]) -> dict[str, Row]:
    """What is doubtful by category, after saying it to the person."""
    doubtful = {name: cut.doubtful for name, cut in cuts.items() if cut.doubtful}
    for name, about in doubtful.items():
        context.say(_words(context, detector, name, about, cuts[name].threshold))
    return doubtful


def _words(context: Context, detector: str, category: str, about: Row, threshold: float) -> str:
    images = about["images"]
    lines = [f"{row['relative_path']}: score {row['anomaly_score']:.4g}, by {row['by']}" for row in images]
    are, them = ("is", "it") if len(images) == 1 else ("are", "them")
    out = [
        f"Warning: {len(images)} of the {about['n_normal']} normal calibration images of {category} {are} "
        f"normal by a verdict only ({about['n_by_verdict']} such in all), and {detector} scores {them} "
        f"{about['rule']}:",
        listed(lines),
    ]
    if about["threshold_without"] is not None:
        out.append(
            f"  The map's threshold is {threshold:.4g} with, {about['threshold_without']:.4g} without them."
        )
    if about["image_threshold_without"] is not None:
        out.append(
            f"  Images are proposed for from the score {about['image_threshold']:.4g} on with, "
            f"{about['image_threshold_without']:.4g} without them."
        )
    name = context.paths.name
    out.append(
        "  They are counted as normal all the same. Look at them (curate triage "
        f'{name}, view "decided"); take a wrong verdict back there, and run curate propose {name} again.'
    )
    return "\n".join(out)
