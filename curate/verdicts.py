"""What a list of verdicts comes to: the current one per sample, and the labels that follow from it.

Verdicts are only ever added. "undone" takes back the last one of the same person that still holds; "skipped",
"unsure" and "mask_rejected" leave the label alone. What several people's verdicts come to is said in
opinions.py. A verdict is about one picture: when the image file is replaced by another, it no longer holds;
when the old file comes back, it holds again.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate.errors import Unreadable, listed
from curate.files import writing
from curate.opinions import Standing, stacked, together
from curate.schema import faults
from curate.tables import from_rows, to_rows
from curate.truth import classes_of, replaced, types_drawn

Row = dict[str, Any]
EXTRA = [
    "verdict", "verdict_defect_type", "verdict_by", "verdict_at", "verdict_mask", "second_opinion",
]  # fmt: skip
HELD = ("label", "defect_types", "verdict", "mask")  # what `before` and `after` of a verdict tell


def standing(rows: Iterable[Mapping[str, Any]], checksums: Mapping[str, str]) -> dict[str, Standing]:
    """The verdicts that hold, by sample_id; samples without one, or with all of theirs undone, are absent.

    Args:
        rows: after data_schemas/verdict.json, in any order.
        checksums: sample_id -> sha256 of the sample's image as it is now; verdicts on other pictures are
            passed over, and so is what undid them.
    """
    of_sample: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if checksums.get(row["sample_id"]) == row["sha256"]:
            of_sample.setdefault(row["sample_id"], []).append(row)
    stacks = {sample_id: stacked(given) for sample_id, given in of_sample.items()}
    return {sample_id: together(people) for sample_id, people in stacks.items() if people}


def labelled(label: str, defect_types: list[str], held: Standing | None) -> tuple[str, list[str]]:
    """Label and defect types once a verdict is taken into account.

    >>> labelled("anomalous", ["scratch"], None)
    ('anomalous', ['scratch'])
    """
    if held is None or held.decided is None:
        return label, list(defect_types)
    if held.decided["verdict"] == "normal":
        return "normal", []
    if held.defect_type:
        return "anomalous", [held.defect_type]
    if classes := classes_of(held):
        return "anomalous", types_drawn(classes, defect_types)
    return "anomalous", list(defect_types)


def apply(samples: pd.DataFrame, rows: Iterable[Mapping[str, Any]], drawn: Path) -> pd.DataFrame:
    """A sample table with the verdicts applied.

    Where a verdict says normal, masks, outlines and boxes are dropped; where it makes an image anomalous that
    the source did not call so, masks and outlines are; where a person accepted or drew a mask, the columns
    tell of that one alone (see curate.truth). Adds the columns verdict (None: nobody has looked),
    verdict_defect_type, verdict_by, verdict_at, verdict_mask (digest of the mask that a person accepted) and
    second_opinion ("wanted", "disputed", None).

    Args:
        samples: with the columns of data_schemas/sample.json as delivered; others are kept.
        rows: after data_schemas/verdict.json, in any order.
        drawn: the dataset's drawn_masks.
    """
    delivered = to_rows(samples)
    held_by_id = standing(rows, {row["sample_id"]: row["sha256"] for row in delivered})
    out = []
    for row in delivered:
        held = held_by_id.get(row["sample_id"])
        label, defect_types = labelled(row["label"], row["defect_types"], held)
        changed = {"label": label, "defect_types": defect_types} | dict.fromkeys(EXTRA)
        if held is not None:
            changed |= fields(held) | replaced(row, label, held, drawn)
        out.append({**row, **changed})
    columns = [*samples.columns, *(name for name in EXTRA if name not in samples.columns)]
    return from_rows(out, columns)


def changes(row: Mapping[str, Any], held: Standing) -> Row:
    """What the verdicts on a sample change against its source; empty: nothing.

    Args:
        row: of a sample table as delivered.
    """
    label, defect_types = labelled(row["label"], row["defect_types"], held)
    dropped = [
        name
        for name, value in replaced(row, label, held, Path()).items()
        if value is None and row.get(name) not in (None, [])
    ]
    same = (label, defect_types) == (row["label"], list(row["defect_types"]))
    if same and held.mask is None and not dropped:
        return {}
    told = {"label": label, "defect_types": defect_types, "mask": held.mask, "dropped": sorted(dropped)}
    return {**told, "mask_classes": list(classes_of(held))}


def fields(held: Standing) -> Row:
    """The verdict columns of a sample that somebody has looked at."""
    last = held.last
    of_last = (last["verdict"], last["defect_type"], last["by"], last["at"])
    return dict(zip(EXTRA, (*of_last, held.mask, held.second_opinion), strict=True))


def read_mirror(path: Path) -> list[Row]:
    """Verdicts from a mirror file; none when there is no file. A last line cut off by a crash is left out.

    A verdict that is there twice is given once.

    Raises:
        Unreadable: a line is not a verdict after data_schemas/verdict.json; nothing is taken from the file.
    """
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n"):  # other ends of lines may stand inside of a name
        try:
            rows.append(json.loads(line.decode(errors="replace")))
        except (json.JSONDecodeError, RecursionError):
            continue
    if broken := faults(rows, "verdict", where="verdict"):
        raise Unreadable(
            f"Unreadable: {path} holds {len(broken)} things that are no verdicts:\n{listed(broken)}\n"
            "Restore the file from a copy, or take these lines out."
        )
    once: dict[tuple[str, str], Row] = {}
    for row in rows:
        once.setdefault(key(row), row)
    return list(once.values())


def key(row: Mapping[str, Any]) -> tuple[str, str]:
    """What tells a verdict from every other of its dataset: the sample and the time."""
    return row["sample_id"], row["at"]


def need_writable(path: Path) -> None:
    """Refuse a mirror file that could not be added to, before a verdict is stored elsewhere.

    Raises:
        Unreadable: it may not be written.
    """
    with writing(path):
        if path.exists():
            path.open("ab").close()
        elif path.parent.exists() and not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def append_mirror(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add verdicts to a mirror file, flushed to the disk.

    Raises:
        StorageFull: no space is left.
    """
    lines = [json.dumps(dict(row), sort_keys=True, ensure_ascii=False) for row in rows]
    if not lines:
        return
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")  # a line that a crash cut off must not swallow the next
            file.write(("\n".join(lines) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
