"""Tries the parts of an installation and repairs what can be repaired."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.doctor import PARTS
from curate.registry import lookup


@dataclass(frozen=True)
class Verdict:
    """What trying one part showed.

    Attributes:
        ok: the part works.
        found: what was seen.
        remedy: what to do when it does not work.
        needed: the toolkit cannot work without it.
        repair: does what `remedy` says; None when a person has to.
    """

    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    repair: Callable[[], None] | None = None


def examine(
    home: Path, skip: Sequence[str] = (), fix: bool = False, say: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """Try every part; with `fix`, repair the failing ones and try them again.

    Args:
        home: workspace folder.
        skip: parts that are left out.
        fix: repair what fails.
        say: hears about repairs.

    Returns:
        One dict a part: part, ok, needed, found, remedy, fixed, repairable.

    Raises:
        ValueError: `skip` names an unknown part.
    """
    for name in skip:
        if name not in PARTS:
            lookup(PARTS, name, "part")
    report = []
    for name in PARTS:
        if name in skip:
            continue
        verdict, fixed = _try(name, home), False
        if fix and not verdict.ok and verdict.repair:
            say(f"{name}: {verdict.found} Repairing: {verdict.remedy}")
            try:
                verdict.repair()
            except Exception as error:
                say(f"{name}: the repair failed: {error}")
            verdict = _try(name, home)
            fixed = verdict.ok
        row = {key: value for key, value in asdict(verdict).items() if key != "repair"}
        report.append({"part": name, **row, "fixed": fixed, "repairable": verdict.repair is not None})
    return report


def _try(name: str, home: Path) -> Verdict:
    try:
        verdict: Verdict = PARTS[name].load()(home)
    except Exception as error:  # a broken part must not hide the others
        return Verdict(
            False,
            f"{type(error).__name__}: {error}".strip(),
            "Install again: pip install --force-reinstall -c constraints.txt fpc-curate",
        )
    return verdict
