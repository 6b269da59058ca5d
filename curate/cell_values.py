"""Numbers, moments and label words in the cells of tables; what is ambiguous is refused, not guessed."""

import math
import re
from collections.abc import Iterable
from datetime import datetime

EMPTY = frozenset({"", "-", "--", "nan", "null", "none", "n/a", "#n/a"})
LABELS = {
    **dict.fromkeys(("normal", "good", "ok", "nominal", "pass", "passed", "accept", "go"), "normal"),
    **dict.fromkeys(("anomalous", "abnormal", "bad", "ng", "ko", "nok", "fail", "failed"), "anomalous"),
    **dict.fromkeys(("defect", "defective", "reject", "rejected", "nogo", "no go"), "anomalous"),
    **dict.fromkeys(("unknown", "unlabelled", "unlabeled"), "unknown"),
}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "calibration": "calibration",
}
POINT = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?|[+-]?\d+\.")
COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?|[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})(?!\d)|(\d{2})(\d{2}))")
YEARS = range(1970, 2101)  # what lies outside is a counter that looks like a date
DAY_DOT = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
SLASHED = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})")
CLOCK = re.compile(
    r"(\d{1,2}):?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?\s*(Z|z|[+-]\d{2}:?\d{2})?"
)


class Numeral(str):
    """Text of a cell that holds a number, not text: its point is a decimal point whatever other cells use."""

    __slots__ = ()


def label(text: str) -> str | None:
    """normal, anomalous or unknown; None for a word that is none of those known.

    >>> label("NG"), label("Good"), label("maybe")
    ('anomalous', 'normal', None)
    """
    return LABELS.get(text.strip().casefold().replace("_", " "))


def decimal_sign(texts: Iterable[str]) -> str | None:
    """The decimal sign that the numbers of a table use.

    Returns:
        "," when a number can be read in no other way ("12,5"); "." when none has a comma; None when those
        with a comma ("1,234") could be thousands or decimals.

    >>> decimal_sign(["12,5", "1,234"]), decimal_sign(["12.5"]), decimal_sign(["1,234"])
    (',', '.', None)
    """
    seen: str | None = "."
    for text in texts:
        if "," not in text:
            continue
        if not THOUSANDS.fullmatch(text):
            return "," if COMMA.fullmatch(text) else "."
        seen = None
    return seen


def number(text: str, decimal: str | None = ".") -> float:
    """A finite number.

    Args:
        decimal: the table's sign, from decimal_sign or as told; a Numeral has a point in any case.

    Raises:
        ValueError: it is none, in words that follow the value.

    >>> number("1.234,5", ","), number("-3e2"), number("1,234", ".")
    (1234.5, -300.0, 1234.0)
    """
    if isinstance(text, Numeral):
        decimal = "."
    if decimal is None and "," in text:
        raise ValueError('could be a thousand or a fraction; say the option decimal = "," or "."')
    if decimal == ",":
        if "." in text and not COMMA.fullmatch(text):
            raise ValueError("has a decimal point, but other numbers of the table a decimal comma")
        plain = text.replace(".", "").replace(",", ".")
    else:
        plain = text.replace(",", "") if THOUSANDS.fullmatch(text.partition(".")[0]) else text
    if not POINT.fullmatch(plain):
        known = text.casefold().lstrip("+-") in ("inf", "infinity", "nan")
        raise ValueError("is not finite" if known else "is not a number")
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError("is not finite")
    return value


def day_first(texts: Iterable[str]) -> bool | None:
    """Whether a table writes 3/7/2026 for 3 July; None when no date of it proves either.

    >>> day_first(["3/7/2026", "25/7/2026"]), day_first(["3/7/2026"])
    (True, None)
    """
    proven: set[bool] = set()
    for text in texts:
        found = SLASHED.match(text)
        if found and (int(found[1]) > 12) != (int(found[3]) > 12):
            proven.add(int(found[1]) > 12)
            if len(proven) > 1:
                return None
    return proven.pop() if proven else None


def moment(text: str, days_first: bool | None = None) -> str:
    """A date, with or without time of day, as ISO 8601; a time zone is kept, never added.

    Known: 2026-07-03, 2026/07/03, 2026.07.03, 20260703, 03.07.2026 (day first), 7/3/2026 and 7-3-2026 (where
    `days_first` tells which is which); then, after a blank, T or _, a time such as 08:05, 08:05:09.25, 080509
    or 8:05 PM, and Z or +01:00.

    Raises:
        ValueError: it is none of these or could be two of them, in words that follow the value.

    >>> moment("20260703_080509"), moment("3.7.2026 8:05 PM"), moment("2026-07-03T08:05:00Z")
    ('2026-07-03T08:05:09', '2026-07-03T20:05:00', '2026-07-03T08:05:00+00:00')
    """
    (year, month, day), rest = _date(text, days_first)
    rest = rest.lstrip(" T_t,").strip()
    try:
        if year not in YEARS:
            raise ValueError("no year")
        if not rest:
            return datetime(year, month, day).date().isoformat()
        clock = CLOCK.fullmatch(rest)
        if not clock:
            raise ValueError("no clock")
        hour, half = int(clock[1]), (clock[5] or "").casefold()
        if half:
            if not 1 <= hour <= 12:
                raise ValueError("no hour")
            hour = hour % 12 + (12 if half == "pm" else 0)
        zone = (clock[6] or "").upper().replace("Z", "+00:00")
        fraction = f".{(clock[4] + '000000')[:6]}" if clock[4] else ""
        stated = f"{year:04}-{month:02}-{day:02}T{hour:02}:{clock[2]}:{clock[3] or '00'}{fraction}{zone}"
        return datetime.fromisoformat(stated).isoformat()
    except ValueError:
        raise ValueError("is not a date and time that exists, as in 2026-07-03T08:05:00") from None


def _date(text: str, days_first: bool | None) -> tuple[tuple[int, int, int], str]:
    """Year, month and day at the beginning of a text, and what follows them."""
    if found := YEAR_FIRST.match(text):
        return (int(found[1]), int(found[3] or found[5]), int(found[4] or found[6])), text[found.end() :]
    if found := DAY_DOT.match(text):
        return (int(found[3]), int(found[2]), int(found[1])), text[found.end() :]
    if found := SLASHED.match(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if first > 12 or second > 12:
            days_first = first > 12
        elif days_first is None and first != second:
            raise ValueError("has day and month in an order that nothing tells; say the option day_first")
        day, month = (first, second) if days_first else (second, first)
        return (year, month, day), text[found.end() :]
    raise ValueError("is not a date, as in 2026-07-03T08:05:00")
