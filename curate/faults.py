"""What is wrong with a dataset, as rows that can be stored, counted and shown."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

# Codes of files that could not be read, whoever met them.
UNREADABLE = frozenset({"unreadable", "unreadable_mask", "name_encoding", "no_permission", "link_loop"})
# Check -> codes of what ingest found, which it passes on; the check "layout" passes on all others.
PASSED_ON = {
    "unreadable": UNREADABLE,
    "decoder_warnings": frozenset({"decoder_warning"}),
    "wrong_extension": frozenset({"wrong_extension"}),
    "mask_size": frozenset({"mask_size"}),
    "orphans": frozenset({"missing_image", "row_without_image", "image_without_row"}),
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, or at least suspicious.

    Attributes:
        code: short name in snake_case, stable across versions: "missing_mask".
        severity: an "error" makes the image or the split unusable as it is; a "warning" should be looked at;
            a "note" is worth knowing and often right as it is.
        relative_path: the file concerned, from the source's root; "" when it concerns the whole dataset.
        message: what was expected, what was found and where; names the file.
        remedy: what to do.
        related: relative paths of other files that belong to the same fault (the other copies of an image).
    """

    code: str
    severity: Severity
    relative_path: str
    message: str
    remedy: str
    related: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.remedy}"


def shown(path: Path | str) -> str:
    r"""A path as it can always be printed and stored: bytes that are not UTF-8 appear as \xNN.

    >>> shown("plain/név.png")
    'plain/név.png'
    >>> print(shown("caf\udce9.png"))
    caf\xe9.png
    """
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair of code units, as a damaged JSON text can hold
        return str(path).encode("utf-8", "backslashreplace").decode()


def plain(text: object, longest: int = 1000) -> str:
    r"""What a stranger wrote, as it may stand in a message: cut, and without what steers a terminal.

    >>> plain("no\x1b[31m\nway")
    'no\\x1b[31m\\nway'
    >>> plain("abcdef", 3)
    'abc…'
    """
    told = str(text)
    kept = told if len(told) <= longest else f"{told[:longest]}…"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in kept)


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Errors, warnings, notes, each by file and code, so that equal datasets give equal reports."""
    return sorted(faults, key=lambda f: (SEVERITIES.index(f.severity), f.relative_path, f.code, f.message))


def passed_on_by(code: str) -> str:
    """The check that passes on what ingest found.

    >>> passed_on_by("orphan_mask"), passed_on_by("unknown_folder")
    ('orphans', 'layout')
    """
    if code.startswith("orphan_"):
        return "orphans"
    return next((check for check, codes in PASSED_ON.items() if code in codes), "layout")


def passed_on(rows: Iterable[Mapping[str, Any]], check: str) -> list[Fault]:
    """Those faults of ingest that a check passes on, under their own codes, in order."""
    return in_order(fault for fault in from_rows(rows) if passed_on_by(fault.code) == check)


def to_rows(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """Faults as plain JSON rows; see from_rows."""
    return [asdict(fault) | {"related": list(fault.related)} for fault in faults]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """Faults back from their rows.

    >>> fault = Fault("empty_mask", "warning", "a.png", "a.png has an empty mask.", "Draw it.")
    >>> from_rows(to_rows([fault])) == [fault]
    True
    """
    return [Fault(**{**row, "related": tuple(row["related"])}) for row in rows]
