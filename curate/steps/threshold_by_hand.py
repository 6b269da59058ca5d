"""Step: keeps a threshold that a person set in the browser, while the page is served."""

from collections.abc import Mapping
from typing import Any

from curate.errors import Missing
from curate.steps import sync, threshold, threshold_picture
from curate.steps.alone import alone
from curate.steps.joined import set_aside
from curate.steps.record import Context
from curate.steps.threshold_record import data_of
from curate.store.fields import detector_fields
from curate.store.server import hold
from curate.threshold_decisions import differences, read, standing
from curate.threshold_params import GROUPED_BY, Settings, choice

RULE = "manual"


def decide(
    context: Context,
    field_name: str,
    values: Mapping[str, float],
    review_from: Mapping[str, float],
    why: str,
    by: str,
) -> dict[str, Any]:
    """Decide on stated thresholds; other categories keep what was decided, and the dataset follows.

    For the App's server, which stays connected to the database. A decision that stands is replaced: whoever
    sets a line has seen the one in force, and says why it moves.

    Args:
        field_name: detector as its name stands in the fields of the dataset.
        values: threshold by category.
        review_from: where a review band begins, by category; left out, there is none.
        why: reason, for whoever reads the history.

    Returns:
        As curate.steps.threshold.run.

    Raises:
        ValueError: no reason is given, or a value cannot be meant.
        Busy: another command is at work on the dataset.
        CurateError: as curate.steps.threshold.run.
    """
    if not why.strip():
        raise ValueError("Say why the threshold lies there: the reason is kept with the decision.")
    hold(context.workspace.home)
    detector = detector_of(context, field_name)
    with alone(context, wait=False):
        stands = standing(read(context.paths.decisions), detector, "image") or {}
        params = {"value": dict(values), "review_from": dict(review_from) or None}
        settings = Settings(params, "image", stands.get("group", GROUPED_BY), stands.get("defect_rate"))
        asked = choice(detector, RULE, settings)
        replaces = bool(stands) and bool(differences(stands, asked, data_of(context, detector)))
        made = threshold.run(context, detector, RULE, settings, replace=replaces, why=why, by=by)
        threshold_picture.run(context, made)
        sync.everything(context)
    return made


def detector_of(context: Context, field_name: str) -> str:
    """The detector whose fields have this name.

    Raises:
        Missing: none has.
    """
    for name in context.paths.detectors():
        if detector_fields(name)[0].removesuffix("_score") == field_name:
            return name
    known = ", ".join(context.paths.detectors()) or "none"
    raise Missing(
        f'Missing: the workspace has no scores of "{field_name}" (it has those of: {known}). '
        f"Run: curate score {context.paths.name}"
    )


def left_out(context: Context, field_name: str | None) -> list[str]:
    """Sample ids of calibration images that are no evidence for a detector; none where it is not known."""
    known = {detector_fields(name)[0].removesuffix("_score"): name for name in context.paths.detectors()}
    return set_aside(context, known[field_name]) if field_name in known else []
