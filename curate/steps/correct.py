"""Step: puts the ground truth of images where a person can edit it, in place of proposals."""

from collections.abc import Collection
from typing import Any

from curate import offered
from curate.errors import CurateError
from curate.files import write_json
from curate.steps import labels
from curate.steps.record import Context
from curate.tables import to_rows
from curate.truth import key
from curate.workspace import DatasetPaths

BY_HAND = "by_hand"  # where no detector has scored


def run(
    context: Context, detector: str | None = None, only: Collection[str] | None = None, stop: bool = False
) -> dict[str, Any]:
    """Note whose ground truth is to be corrected; storing it is up to curate.steps.sync.

    It stays with the image until another mask is in force: once a person has accepted the corrected one, or
    the source has another.

    Args:
        detector: in place of whose proposals; None: of the only one with scores, else see BY_HAND.
        only: sample ids; None: all anomalous images.
        stop: offer proposals again instead, for these images.

    Returns:
        detector, n_images (that have ground truth to edit), n_without (chosen, but there is none).

    Raises:
        ValueError: several detectors have scores, and none is named; or the one named has none.
        CurateError: no image has ground truth to edit.
    """
    name = _name(context.paths, detector)
    noted = offered.corrections(context.paths, name)
    samples = labels.current(context)
    chosen = samples[samples["label"] == "anomalous"]
    if only is not None:
        chosen = samples[samples["sample_id"].isin(only)]
    if stop:
        ids = set(chosen["sample_id"])
        left = {sample_id: truth for sample_id, truth in noted.items() if sample_id not in ids}
        write_json(offered.corrections_file(context.paths, name), {"samples": left})
        return {"detector": name, "n_images": len(noted) - len(left), "n_without": 0}
    keys = {row["sample_id"]: key(row, context.paths.masks) for row in to_rows(chosen)}
    found = {sample_id: truth for sample_id, truth in keys.items() if truth is not None}
    if not found:
        raise CurateError(
            f"CurateError: none of {len(chosen)} images has a ground-truth mask or boxes to correct. Choose "
            "anomalous images, or draw masks on the proposals."
        )
    write_json(offered.corrections_file(context.paths, name), {"samples": noted | found})
    return {"detector": name, "n_images": len(found), "n_without": len(keys) - len(found)}


def _name(paths: DatasetPaths, asked: str | None) -> str:
    known = paths.detectors()
    if asked is not None and asked not in known:
        raise ValueError(
            f"{asked} has no scores of these images (those that have: {', '.join(known) or 'none'})."
        )
    if asked is None and len(known) > 1:
        raise ValueError(f"Say in place of whose proposals, with --detector: {', '.join(known)}.")
    return asked or (known[0] if known else BY_HAND)
