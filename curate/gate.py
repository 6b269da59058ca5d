"""A quality gate: how many findings a dataset may have before a check, a build or a CI job fails."""

import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.checks import CHECKS
from curate.errors import CurateError, Missing, listed
from curate.faults import SEVERITIES
from curate.schema import faults

Finding = Mapping[str, Any]
KINDS = {f"{severity}s": (severity,) for severity in SEVERITIES} | {"total": SEVERITIES}


@dataclass(frozen=True)
class Limit:
    """One limit, and what was found.

    Attributes:
        name: "errors", "warnings", "notes" or "total", else a check.
        limit: the largest value that is let through: findings, or a share of the images in [0, 1].
        fraction: whether it is a share of the images.
        found: None where the check did not run, which does not pass.
        reason: why it did not run.
    """

    name: str
    limit: float
    fraction: bool
    found: float | None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit is kept."""
        return self.found is not None and self.found <= self.limit

    @property
    def title(self) -> str:
        """What is limited."""
        return f"{self.name} (share of images)" if self.fraction else self.name

    @property
    def state(self) -> str:
        """ok, EXCEEDED, or why it could not be told."""
        if self.found is None:
            return f"DID NOT RUN: {self.reason}"
        return "ok" if self.ok else "EXCEEDED"

    def shown(self, value: float | None) -> str:
        """A value of this limit for people."""
        if value is None or not self.fraction:
            return "-" if value is None else str(value)
        return f"{value:.4f}".removeprefix("0") if value < 1 else f"{value:.3f}"


def load(path: Path) -> dict[str, Any]:
    """Read a gate.

    Raises:
        Missing: there is no such file.
        CurateError: it is not TOML, or breaks data_schemas/gate.json; all faults are listed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing(f"Missing: there is no gate {path}. docs/checks.md shows one to begin with.") from error
    except OSError as error:
        raise CurateError(f"CurateError: the gate {path} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CurateError(f"CurateError: the gate {path} is not a TOML file: {error}.") from error
    broken = [
        line.removeprefix("gate 0, ").removeprefix("gate 0: ") for line in faults([content], "gate", "gate")
    ]
    broken += _unknown_checks(content.get("checks", {}))
    if broken:
        raise CurateError(
            f"CurateError: the gate {path} breaks the contract data_schemas/gate.json:\n{listed(broken)}"
        )
    return content


def judge(
    gate: Mapping[str, Any],
    findings: Iterable[Finding],
    n_images: int,
    ran: Collection[str],
    not_run: Mapping[str, str],
) -> list[Limit]:
    """Hold findings against a gate.

    Args:
        gate: from load.
        findings: rows of curate.faults.to_rows, each with the check that made it.
        n_images: of the dataset.
        ran: the checks that ran.
        not_run: check -> why it could not run; other checks were not asked for.

    Returns:
        Every limit: those of all checks together, then check by check.
    """
    findings = list(findings)
    rows = []
    totals = {"errors": 0, **gate.get("limits", {})}
    for kind, severities in KINDS.items():
        counted = [row for row in findings if row["severity"] in severities]
        if kind in totals:
            rows.append(Limit(kind, totals[kind], False, len(counted)))
        if (name := f"{kind}_fraction") in totals:
            rows.append(Limit(kind, totals[name], True, _share(counted, n_images)))
    own, default = gate.get("checks", {}), gate.get("default", {})
    for check in CHECKS:
        limits = own.get(check, default if check in ran else {})
        counted = [row for row in findings if row["check"] == check]
        reason = "" if check in ran else not_run.get(check, "it was not among the checks chosen")
        if "max" in limits:
            rows.append(Limit(check, limits["max"], False, None if reason else len(counted), reason))
        if "max_fraction" in limits:
            share = None if reason else _share(counted, n_images)
            rows.append(Limit(check, limits["max_fraction"], True, share, reason))
    return rows


def judge_result(gate: Mapping[str, Any], content: Mapping[str, Any]) -> list[Limit]:
    """Hold the result of curate.steps.check.run against a gate; see judge."""
    return judge(gate, content["findings"], content["n_images"], content["checks"], content["not_run"])


def result(limits: Iterable[Limit]) -> dict[str, Any]:
    """The outcome as plain values: ok (whether all limits are kept) and limits (rows with ok)."""
    rows = [asdict(limit) | {"ok": limit.ok} for limit in limits]
    return {"ok": all(row["ok"] for row in rows), "limits": rows}


def lines(limits: Iterable[Limit]) -> list[str]:
    r"""The limits as a table for people.

    >>> print("\n".join(lines([Limit("errors", 0, False, 2), Limit("specks", 0.01, True, 0.004)])))
    gate                               limit      found
      errors                               0          2  EXCEEDED
      specks (share of images)         .0100      .0040  ok
    """
    rows = list(limits)
    width = max([27, *(len(row.title) for row in rows)])
    out = [f"{'gate':<{width + 2}}{'limit':>11}{'found':>11}"]
    for row in rows:
        out.append(f"  {row.title:<{width}}{row.shown(row.limit):>11}{row.shown(row.found):>11}  {row.state}")
    return out


def _share(findings: Iterable[Finding], n_images: int) -> float:
    """Share of the images that a finding names; files left out of the dataset count too, up to all."""
    concerned = {path for row in findings for path in (row["relative_path"], *row["related"]) if path}
    return min(1.0, len(concerned) / n_images) if n_images else float(bool(concerned))


def _unknown_checks(named: Any) -> list[str]:
    out = []
    for name in named if isinstance(named, Mapping) else ():
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, n=3)
            hint = f"; near: {', '.join(near)}" if near else f"; known: {', '.join(CHECKS)}"
            out.append(f'checks: unknown check "{name}"{hint}')
    return out
