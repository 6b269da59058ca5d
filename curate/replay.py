"""Reads a mirror file of verdicts from elsewhere, and tells which of them a dataset can take.

A verdict belongs to a sample by its id and to a picture by its checksum; both follow from the source, so a
dataset that was taken in anew from the same files takes all of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from curate.defect_names import usable
from curate.errors import Missing, Unreadable, listed
from curate.faults import plain
from curate.person_names import is_usable
from curate.schema import faults
from curate.verdicts import Row, key

LARGEST = 1e18  # of a number; the database keeps no larger whole numbers
AHEAD = timedelta(days=1)  # by how much a clock elsewhere may go fast


@dataclass(frozen=True)
class Taken:
    """What comes of the verdicts of a file.

    Attributes:
        fitting: of samples and pictures that the dataset has, whether or not it has the verdict.
        new: those of them that it does not have.
        unknown: of samples that it does not have.
        other_picture: of samples whose image is another one now.
    """

    fitting: tuple[Row, ...]
    new: tuple[Row, ...]
    unknown: tuple[Row, ...]
    other_picture: tuple[Row, ...]


def read(path: Path) -> tuple[list[Row], bool]:
    """The verdicts of a file, each once, and whether a last line was left out that a crash had cut off.

    Raises:
        Missing: there is no such file.
        Unreadable: lines are no verdicts after data_schemas/verdict.json, or contradict each other; all are
            listed.
    """
    if not path.is_file():
        raise Missing(
            f"Missing: there is no file {path}. Name the verdicts.jsonl of another workspace, or a copy."
        )
    lines = path.read_bytes().split(b"\n")
    cut_off = bool(lines[-1].strip()) and _parsed(lines[-1]) is None
    rows: dict[tuple[str, str], Row] = {}
    found: list[str] = []
    for number, line in enumerate(lines[:-1] if cut_off else lines, 1):
        if not line.strip():
            continue
        row = _parsed(line)
        told = ["is no JSON object"] if row is None else _faults(row)
        if row is not None and not told and rows.setdefault(key(row), row) != row:
            told = ["contradicts an earlier line on the same sample and moment"]
        found += [f"line {number}: {text}" for text in told]
    if found:
        raise Unreadable(
            f"Unreadable: {path} holds {len(found)} things that are no verdicts:\n{listed(found)}\n"
            "Nothing was taken. Restore the file from a copy, or take these lines out."
        )
    return list(rows.values()), cut_off


def _parsed(line: bytes) -> Row | None:
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):  # no JSON, or no UTF-8
        return None
    return row if isinstance(row, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _faults(row: Row) -> list[str]:
    """What is wrong with one verdict; empty when nothing is."""
    if broken := faults([row], "verdict"):
        found = [text.removeprefix("row 0").removeprefix(", ").removeprefix(": ") for text in broken]
        return [plain(text, 400) for text in found]
    found = []
    if (at := _moment(row["at"])) is None:
        wanted = "a moment in UTC such as 2026-01-31T08:15:00.000001+00:00"
        found.append(f'at: expected {wanted}; found "{row["at"]}"')
    elif at > datetime.now(UTC) + AHEAD:
        found.append(f"at: {row['at']} lies in the future")
    if row["verdict"] != "anomalous":
        beside = [name for name in ("defect_type", "mask") if row.get(name)]
        found += [
            f'{name}: only a verdict "anomalous" has one; found it with "{row["verdict"]}"' for name in beside
        ]
    numbers = {"seconds": row.get("seconds"), "threshold": (row.get("shown") or {}).get("threshold")}
    found += [
        f"{name}: {plain(value, 40)} is out of range"
        for name, value in numbers.items()
        if value is not None and not abs(value) <= LARGEST
    ]
    return found + _names(row)


def _names(row: Row) -> list[str]:
    """What is wrong with names in a verdict: files and folders are called by defect types."""
    found = []
    if not is_usable(row["by"]):
        found.append(f'by: "{plain(row["by"], 60)}" cannot be the name of a person')
    after = row.get("after") or {}
    drawn = [each["defect_type"] for each in row.get("mask_classes") or []]
    named = {row["defect_type"], *drawn, *row["before"]["defect_types"], *after.get("defect_types", [])}
    for name in sorted(named - {None}):
        try:
            usable(name)
        except ValueError as error:
            found.append(f"defect type: {plain(error, 300)}")
    return found


def _moment(text: str) -> datetime | None:
    """A moment as verdicts have it, whose order as text is that in time; None for any other text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    exact = text in (at.isoformat(), at.isoformat(timespec="microseconds"))
    return at if exact and at.utcoffset() == timedelta(0) else None


def sort_out(rows: Iterable[Row], known: Sequence[Mapping[str, Any]], checksums: Mapping[str, str]) -> Taken:
    """Which verdicts of a file a dataset can take.

    Args:
        rows: of the file.
        known: verdicts that the dataset has.
        checksums: sample_id -> sha256 of each sample of the dataset.

    Raises:
        Unreadable: a verdict contradicts one that the dataset has of the same sample and moment.
    """
    have = {key(row): row for row in known}
    fitting, new, unknown, other = [], [], [], []
    against = []
    for row in rows:
        if row["sample_id"] not in checksums:
            unknown.append(row)
        elif checksums[row["sample_id"]] != row["sha256"]:
            other.append(row)
        else:
            fitting.append(row)
            if key(row) not in have:
                new.append(row)
            elif _content(have[key(row)]) != _content(row):
                against.append(f"sample {row['sample_id']}, {row['at']}, by {row['by']}")
    if against:
        raise Unreadable(
            f"Unreadable: {len(against)} verdicts are not as the dataset has them of the same moment:\n"
            f"{listed(against)}\nNothing was taken. One of the two files was altered: compare them."
        )
    return Taken(tuple(fitting), tuple(new), tuple(unknown), tuple(other))


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict without the entries that hold nothing: older records lack them."""
    return {name: value for name, value in row.items() if value is not None}
