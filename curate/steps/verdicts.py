"""Step: tells who decided what, how far people agree, and which questions are open."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate import drawn_masks, spreadsheets, tables, verdicts
from curate.errors import Missing, Unreadable
from curate.images import Array
from curate.opinions import stacked
from curate.steps.record import Context
from curate.verdict_summary import open_questions, pairs, people

COLUMNS = [
    "relative_path", "sample_id", "verdict", "defect_type", "by", "at", "seconds", "mask", "place",
    "detector", "threshold", "stands", "label", "second_opinion",
]  # fmt: skip


def run(context: Context, table: Path | None = None) -> dict[str, Any]:
    """Sum up the verdicts of a dataset.

    Args:
        table: where every verdict is written to, one row each (COLUMNS); None: nowhere.

    Returns:
        n_images, n_judged (with a verdict that stands), n_given, n_undone, n_elsewhere (verdicts on images
        that are gone or replaced), people and pairs (see curate.verdict_summary), disputed and wanted,
        unusable_masks (files of pairs that are gone or altered), table.
    """
    given = verdicts.read_mirror(context.paths.verdicts)
    samples = tables.to_rows(tables.read(context.paths.samples))
    by_id = {row["sample_id"]: row for row in samples}
    checksums = {sample_id: row["sha256"] for sample_id, row in by_id.items()}
    held = verdicts.standing(given, checksums)
    paths = {sample_id: row["relative_path"] for sample_id, row in by_id.items()}
    now = {
        name: verdicts.labelled(row["label"], row["defect_types"], held.get(name))
        for name, row in by_id.items()
    }
    n_undone = sum(row["verdict"] == "undone" for row in given)
    masks = _Masks(context.paths.drawn_masks)
    result = {
        "n_images": len(samples),
        "n_judged": len(held),
        "n_given": len(given) - n_undone,
        "n_undone": n_undone,
        "n_elsewhere": sum(checksums.get(row["sample_id"]) != row["sha256"] for row in given),
        "people": people(given),
        "pairs": pairs(held, paths, masks.read),
        **open_questions(held, now, paths),
        "unusable_masks": sorted(masks.unusable),
    }
    if table is not None:
        opinions = {name: standing.second_opinion for name, standing in held.items()}
        told = {
            name: {"relative_path": paths[name], "label": now[name][0], "second_opinion": opinions.get(name)}
            for name in by_id
        }
        spreadsheets.write(_rows(given, checksums, told), COLUMNS, table)
    return {**result, "table": table and str(table)}


class _Masks:
    """Reads the masks that people gave, and notes those that cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unusable: set[str] = set()

    def read(self, sample_id: str, digest: str) -> Array | None:
        try:
            return drawn_masks.read(self._folder, sample_id, digest)
        except (Missing, Unreadable):
            self.unusable.add(drawn_masks.path_of(self._folder, sample_id, digest).name)
            return None


def _rows(
    given: Sequence[Mapping[str, Any]], checksums: Mapping[str, str], now: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every verdict in one row, oldest first, with what holds now for its image."""
    of_picture: dict[str, list[Mapping[str, Any]]] = {}
    for row in given:
        if checksums.get(row["sample_id"]) == row["sha256"]:
            of_picture.setdefault(row["sample_id"], []).append(row)
    standing = {
        verdicts.key(row) for rows in of_picture.values() for stack in stacked(rows).values() for row in stack
    }
    return [
        {
            **row,
            **(row.get("shown") or {}),
            **now.get(row["sample_id"], {}),
            "stands": verdicts.key(row) in standing,
        }
        for row in sorted(given, key=lambda row: (str(row["at"]), row["sample_id"]))
    ]
