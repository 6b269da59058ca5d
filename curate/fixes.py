"""What `curate check --fix` mends: an overlay of the dataset, kept beside it; the source is never touched.

fixes.jsonl is only ever added to. A later line of the same sample, picture and action counts instead of an
earlier one, so a fix is taken back by a line that says `undone`. Fixes survive taking a source in again: they
are found by sample id and by the checksum of the image, and no longer hold when the image was replaced.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curate.errors import Unreadable, listed
from curate.files import writing
from curate.schema import check_rows, faults

Action = Literal["exclude", "drop_specks"]


@dataclass(frozen=True)
class Fix:
    """One mend of one sample; contract data_schemas/fix.json.

    Attributes:
        sample_id: of the sample mended.
        sha256: of its image file.
        action: "exclude" takes the sample out of the dataset while another one shows the same picture under
            the same label; "drop_specks" takes the regions of at most 4 px out of its mask, if others remain
            (curate.masks.without_specks).
        detail: what was done and why, for people.
        check, at, curate: who asked for it, when (ISO 8601, UTC), and the version; see stamped.
        undone: whether this line takes the fix back.
    """

    sample_id: str
    sha256: str
    action: Action
    detail: str
    check: str = ""
    at: str = ""
    curate: str = ""
    undone: bool = False


def stamped(fixes: Iterable[Fix], check: str, at: str, version: str) -> list[Fix]:
    """Fixes as they are stored: with the check that asked for them, the time, and the version of curate."""
    return [replace(fix, check=check, at=at, curate=version) for fix in fixes]


def taken_back(fixes: Iterable[Fix], at: str, version: str) -> list[Fix]:
    """The lines that take fixes back."""
    return [replace(fix, at=at, curate=version, undone=True) for fix in fixes]


def read(path: Path) -> list[Fix]:
    """The fixes that hold, by sample and action; none when there is no file.

    A last line cut off by a crash is left out.

    Raises:
        Unreadable: a line is not a fix after data_schemas/fix.json; nothing is taken from the file.
    """
    latest = {(row["sample_id"], row["sha256"], row["action"]): Fix(**row) for row in _lines(path)}
    return [latest[key] for key in sorted(latest) if not latest[key].undone]


def ever(path: Path, action: Action) -> set[str]:
    """Ids of the samples that a fix of this kind was made for, whether it holds or not; else as read."""
    return {row["sample_id"] for row in _lines(path) if row["action"] == action}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Every line of the file, oldest first; see read."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = []
    for index, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if index < len(lines) - 1:
                raise Unreadable(_damaged(path, [f"line {index + 1}: {error}"])) from error
    if broken := faults(rows, "fix", where="fix"):
        raise Unreadable(_damaged(path, broken))
    return rows


def append(path: Path, fixes: Iterable[Fix]) -> None:
    """Add fixes to the file, flushed to the disk; made when it does not exist.

    Args:
        path: fixes.jsonl of a dataset.
        fixes: stamped.

    Raises:
        SchemaViolation: a fix is not stamped, or breaks its contract otherwise; nothing is written.
        StorageFull: no space is left.
    """
    rows = [asdict(fix) for fix in fixes]
    check_rows(rows, "fix")
    if not rows:
        return
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_partial_line(path)
        with path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def holding(fixes: Iterable[Fix], samples: Iterable[Mapping[str, Any]]) -> list[Fix]:
    """Those fixes whose sample is there with the picture they were made for.

    A copy stays out of the dataset only while one that says the same stays in: where the source took that
    away, or gave it another label, the first of its copies is back.

    Args:
        fixes: from read.
        samples: rows of the sample tables of all sources, those that are excluded too.
    """
    there = {row["sample_id"]: (row["sha256"], _told(row)) for row in samples}
    made = [fix for fix in fixes if fix.sample_id in there and there[fix.sample_id][0] == fix.sha256]
    out = {fix.sample_id for fix in made if fix.action == "exclude"}
    kept = {told for sample_id, (_, told) in there.items() if sample_id not in out}
    last: dict[tuple[str, ...], str] = {}
    for sample_id, (_, told) in there.items():
        if sample_id in out and told not in kept:
            last.setdefault(told, sample_id)
    back = set(last.values())
    return [fix for fix in made if fix.action != "exclude" or fix.sample_id not in back]


def _told(row: Mapping[str, Any]) -> tuple[str, ...]:
    """In what the copies of a picture agree."""
    return row["pixel_sha256"], row["category"], row["label"], *sorted(row["defect_types"])


def excluded(fixes: Iterable[Fix], samples: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of the samples that leave the dataset; arguments as of holding."""
    return {fix.sample_id for fix in holding(fixes, samples) if fix.action == "exclude"}


def mask_actions(
    fixes: Iterable[Fix], samples: Iterable[Mapping[str, Any]] | None = None
) -> dict[str, Action]:
    """Sample id -> what is done to its mask.

    Args:
        fixes: from read.
        samples: with them, fixes made for another picture than the present one are passed over.
    """
    chosen = fixes if samples is None else holding(fixes, samples)
    return {fix.sample_id: fix.action for fix in chosen if fix.action != "exclude"}


def _cut_partial_line(path: Path) -> None:
    """Remove a last line that a crash cut off: it would make the whole file unreadable."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _damaged(path: Path, broken: list[str]) -> str:
    return (
        f"Unreadable: {path} holds {len(broken)} things that are no fixes:\n{listed(broken)}\n"
        "Restore the file from a copy, or take these lines out."
    )
