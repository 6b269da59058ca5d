"""Step: brings verdicts of another workspace, or of a lost one, into a dataset."""

from collections import Counter
from pathlib import Path
from typing import Any

from curate import drawn_masks, replay, tables, verdicts
from curate.errors import Missing, Unreadable
from curate.files import write_bytes
from curate.steps import sync
from curate.steps.record import Context


def run(context: Context, file: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Add the verdicts of a mirror file that the dataset lacks; may be killed and run again at any time.

    Masks that the verdicts name are taken from the folder drawn_masks beside the file, where the dataset does
    not have them. They come before the verdicts.

    Args:
        file: a verdicts.jsonl.
        dry_run: tell what would be done, and do nothing.

    Returns:
        file, n_read, cut_off (a last line was left out), n_taken, n_known, people (name -> verdicts taken),
        unknown (sample ids) and other_picture (relative paths) of verdicts that were not taken, and how many
        these are as n_unknown and n_other_picture, n_masks (copied), missing_masks, damaged_masks, dry_run.

    Raises:
        Missing: there is no such file.
        Unreadable: it holds what is no verdict, or contradicts the dataset; nothing is taken.
    """
    from curate.store.alone import alone

    paths = context.paths
    rows, cut_off = replay.read(file)
    if not sync.is_current(context):
        sync.everything(context)  # verdicts that only the database holds come to the mirror
    samples = tables.to_rows(tables.read(paths.samples))
    checksums = {row["sample_id"]: row["sha256"] for row in samples}
    fitting = replay.sort_out(rows, verdicts.read_mirror(paths.verdicts), checksums).fitting
    masks = _masks(fitting, file.with_name(paths.drawn_masks.name), paths.drawn_masks, dry_run)
    with alone(paths.verdicts):  # nobody decides between the look at what is known and the writing
        taken = replay.sort_out(rows, verdicts.read_mirror(paths.verdicts), checksums)
        if not dry_run:
            verdicts.append_mirror(paths.verdicts, taken.new)
    if not dry_run:
        sync.everything(context)  # the log and the fields follow the mirror
    names = {row["sample_id"]: row["relative_path"] for row in samples}
    return {
        "file": str(file),
        "n_read": len(rows),
        "cut_off": cut_off,
        "n_taken": len(taken.new),
        "n_known": len(taken.fitting) - len(taken.new),
        "people": dict(sorted(Counter(row["by"] for row in taken.new).items())),
        "n_unknown": len(taken.unknown),
        "unknown": sorted({row["sample_id"] for row in taken.unknown}),
        "n_other_picture": len(taken.other_picture),
        "other_picture": sorted({names[row["sample_id"]] for row in taken.other_picture}),
        **masks,
        "dry_run": dry_run,
    }


def _masks(rows: tuple[verdicts.Row, ...], beside: Path, own: Path, dry_run: bool) -> dict[str, Any]:
    """Copy the masks that verdicts name and the dataset lacks; told by file name."""
    found: dict[str, list[str]] = {"copied": [], "missing": [], "damaged": []}
    for sample_id, digest in sorted({(row["sample_id"], row["mask"]) for row in rows if row.get("mask")}):
        target = drawn_masks.path_of(own, sample_id, digest)
        if target.exists():
            continue
        try:
            drawn_masks.read(beside, sample_id, digest)
        except Missing:
            found["missing"].append(target.name)
        except Unreadable:
            found["damaged"].append(target.name)
        else:
            if not dry_run:
                write_bytes(target, drawn_masks.path_of(beside, sample_id, digest).read_bytes())
            found["copied"].append(target.name)
    return {
        "n_masks": len(found["copied"]),
        "missing_masks": found["missing"],
        "damaged_masks": found["damaged"],
    }
