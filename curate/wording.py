"""Results as lines for people, shared by several verbs."""

import textwrap
from collections.abc import Iterable
from typing import Any

from curate.faults import SEVERITIES

WIDTH = 100  # columns


def faults(rows: list[dict[str, Any]], shown: int = 10) -> list[str]:
    """Findings as lines: errors, warnings, notes; the first ten of each code, then how many more."""
    lines = []
    by_code: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_code.setdefault((SEVERITIES.index(row["severity"]), row["code"]), []).append(row)
    for (_, code), group in sorted(by_code.items()):
        lines.append(f"{group[0]['severity']} {code}: {len(group)}")
        lines += [f"  {row['message']}" for row in group[:shown]]
        if len(group) > shown:
            lines.append(f"  and {len(group) - shown} more")
        lines.append(f"  -> {group[0]['remedy']}")
    return lines


def number(value: float | None) -> str:
    """A figure with three decimals, or a dash.

    >>> number(0.9), number(None)
    ('0.900', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def wrapped(lines: Iterable[str], indent: str = "  ", hang: int = 2) -> list[str]:
    """Lines of a message, broken at 100 columns; what follows a break hangs. Words and paths stay whole.

    >>> wrapped(["word " * 30])[1]
    '    word word word word word word word word word word word'
    """
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + " " * hang,
            break_on_hyphens=False,
            break_long_words=False,
        )
    ]
