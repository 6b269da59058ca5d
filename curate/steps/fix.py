"""Step: mends what checks can mend without touching the source, and takes the mends back."""

from collections.abc import Sequence
from datetime import UTC, datetime

from curate import __version__, fixes, tables
from curate.checks import CHECKS
from curate.fixes import Fix
from curate.registry import lookup
from curate.steps import check, sources
from curate.steps.record import Context


def mend(context: Context, names: Sequence[str] | None = None) -> list[Fix]:
    """Let the named checks, or all, mend what they find, and make the dataset anew from its sources.

    A sample that a person has judged is not taken out.

    Returns:
        The fixes made now; those that held before are not repeated.

    Raises:
        ValueError: a name is no check.
    """
    mending = [
        name for name in names or CHECKS if getattr(lookup(CHECKS, name, "check"), "fix", None) is not None
    ]
    evidence, lacking = check.evidence_for(context, mending)
    held = {(fix.sample_id, fix.sha256, fix.action) for fix in fixes.read(context.paths.fixes)}
    made: list[Fix] = []
    for name in mending:
        module = lookup(CHECKS, name, "check")
        if any(need in lacking for need in getattr(module, "NEEDS", ())):
            continue
        new = [
            fix
            for fix in module.fix(evidence, module.run(evidence))
            if (fix.sample_id, fix.sha256, fix.action) not in held
            and not (fix.action == "exclude" and fix.sample_id in evidence.verdicts)
        ]
        made += fixes.stamped(new, name, _now(), __version__)
    fixes.append(context.paths.fixes, made)
    sources.join(context.paths)
    return made


def undo(context: Context) -> list[Fix]:
    """Take back all fixes that hold, and make the dataset anew; returns them."""
    held = fixes.read(context.paths.fixes)
    fixes.append(context.paths.fixes, fixes.taken_back(held, _now(), __version__))
    sources.join(context.paths)
    return held


def held(context: Context) -> list[Fix]:
    """The fixes that hold for the sources as they are now; see curate.fixes.holding."""
    rows = [
        row
        for name in sources.present(context.paths)
        for row in tables.to_rows(tables.read(sources.table(context.paths, name)))
    ]
    return sorted(fixes.holding(fixes.read(context.paths.fixes), rows), key=lambda fix: (fix.at, fix.detail))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
