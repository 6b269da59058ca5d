"""Step: runs the quality checks over the sample table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from curate import tables, verdicts
from curate.checks import CHECKS, Evidence
from curate.errors import CurateError, StorageFull, Unreadable
from curate.faults import SEVERITIES, to_rows
from curate.files import fingerprint, read_json
from curate.quality import numbers
from curate.registry import lookup
from curate.steps import labels
from curate.steps.joined import masks_digest
from curate.steps.record import Context, digest, done_before, finish
from curate.told_paths import apart

COLUMNS = ["check", "code", "severity", "relative_path", "message", "remedy", "related"]
COSTLY = ("statistics", "embeddings")
LACKING = {
    "split": "there is no split yet, and the source delivers none; run curate split first",
    "mask_facts": "the masks have not been counted; take the source in again with curate ingest --rehash",
}


def run(context: Context, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the named checks, or all, and store their findings.

    Returns:
        findings (rows of dicts), n_errors, n_warnings, n_notes, n_images, checks (those that ran), not_run
        (check -> why), not_judged (check -> categories with too few pictures), split (whether there is one),
        fresh.

    Raises:
        ValueError: a name is no check.
    """
    paths = context.paths
    chosen = _known(names or list(CHECKS))
    inputs: dict[str, Any] = {
        "checks": chosen,
        "samples": digest(paths.samples),
        "faults": digest(paths.faults),
        "mask facts": digest(paths.mask_facts),
        "fixes": digest(paths.fixes),
        "split": digest(paths.split),
        "masks": masks_digest(context),
        "verdicts": labels.digest(context),
        "files": _files_now(context),
    }
    outputs = [paths.findings, paths.quality]
    earlier = done_before(paths, "check", inputs, outputs)
    if earlier is not None:
        return earlier
    evidence, lacking = evidence_for(context, chosen)
    result = _look(evidence, lacking, chosen)
    tables.write(tables.from_rows(result["findings"], COLUMNS), paths.findings)
    tables.write(numbers(evidence, result["findings"]), paths.quality)
    if failed := {part: reason for part, reason in lacking.items() if part in COSTLY}:
        inputs["failed"] = failed  # so it is tried again the next time
    return finish(paths, "check", inputs, outputs, result)


def only(context: Context, names: Sequence[str]) -> dict[str, Any]:
    """Run some checks and store nothing, so that the findings of the others stay; else as run."""
    return _look(*evidence_for(context, _known(names)), names)


def chosen(only: Sequence[str] | None, skip: Sequence[str] | None) -> list[str] | None:
    """The checks that a person chose; None when all.

    Raises:
        ValueError: a name is no check, or none is left.
    """
    left_out = _known(skip or [])
    names = [name for name in _known(only or list(CHECKS)) if name not in left_out]
    if not names:
        raise ValueError("No check is left to run; --skip names all that --only chose.")
    return names if only or skip else None


def evidence_for(context: Context, names: Sequence[str]) -> tuple[Evidence, dict[str, str]]:
    """What the named checks look at, and why parts of it are not there (part -> reason)."""
    paths = context.paths
    delivered, facts = labels.delivered_but_drawn(context)
    samples, faults = told_apart(context, delivered)
    needs = {need for name in names for need in _needs(name)}
    measured, lacking = _measured(context, [part for part in COSTLY if part in needs])
    checksums = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    held = verdicts.standing(verdicts.read_mirror(paths.verdicts), checksums)
    evidence = Evidence(
        samples=samples,
        masks=paths.masks,
        faults=faults,
        split=tables.read(paths.split) if paths.split.exists() else None,
        mask_facts=_mask_facts(context, facts),
        drawn=frozenset(facts),
        verdicts={key: one.decided["verdict"] for key, one in held.items() if one.decided is not None},
        **measured,
    )
    if evidence.mask_facts is None:
        lacking["mask_facts"] = LACKING["mask_facts"]
    if not _divided(evidence):
        lacking["split"] = LACKING["split"]
    return evidence, lacking


def _mask_facts(context: Context, drawn: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame | None:
    """What is known of the masks in force; None where those of the source have not been counted."""
    if not context.paths.mask_facts.exists():
        return None
    known = tables.read(context.paths.mask_facts)
    if not drawn:
        return known
    others = [row for row in tables.to_rows(known) if row["sample_id"] not in drawn]
    own = [{"sample_id": name, **measured} for name, measured in drawn.items()]
    return tables.from_rows([*others, *own], list(known.columns))


def told_apart(
    context: Context, samples: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The samples, and the faults met while they were taken in, with paths as the findings have them.

    Args:
        samples: those of the dataset; None: as the sources delivered them.

    Raises:
        Missing, Unreadable: the sample table or the file of the faults is gone or damaged.
    """
    path = context.paths.faults
    again = "Take the source in again with curate ingest; it is made anew."
    try:
        by_source = read_json(path)
    except CurateError as error:
        raise type(error)(f"{error} {again}") from error
    if not isinstance(by_source, dict):
        raise Unreadable(f"Unreadable: {path} holds no faults by source. {again}")
    return apart(tables.read(context.paths.samples) if samples is None else samples, by_source)


def _look(evidence: Evidence, lacking: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    """The result of run."""
    rows, not_run, not_judged = [], {}, {}
    for name in names:
        if reasons := [lacking[need] for need in _needs(name) if need in lacking]:
            not_run[name] = "; ".join(reasons)
            continue
        found = lookup(CHECKS, name, "check").run(evidence)
        rows += [{"check": name, **row} for row in to_rows(found)]
        if few := _too_few(evidence, getattr(lookup(CHECKS, name, "check"), "FEWEST", 0)):
            not_judged[name] = few
    severities = [row["severity"] for row in rows]
    return {
        "findings": rows,
        **{f"n_{kind}s": severities.count(kind) for kind in SEVERITIES},
        "n_images": len(evidence.samples),
        "checks": [name for name in names if name not in not_run],
        "not_run": not_run,
        "not_judged": not_judged,
        "split": _divided(evidence),
    }


def _too_few(evidence: Evidence, fewest: int) -> str:
    """The categories that have too few pictures for a check to know what is usual; "" when none has."""
    counts = evidence.samples["category"].value_counts().sort_index()
    small = [f"{category} ({n})" for category, n in counts.items() if n < fewest]
    return f"{', '.join(small)}: too few pictures, {fewest} are needed" if small else ""


def _measured(context: Context, parts: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The costly parts of the evidence that can be made, and why others cannot."""
    made: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for part in parts:
        from curate.steps import statistics

        try:
            made[part] = statistics.evidence(context, [part])[part]
        except StorageFull:
            raise
        except (CurateError, FileNotFoundError) as error:  # the latter: weights that are not installed
            failed[part] = str(error)
    return made, failed


def _needs(name: str) -> tuple[str, ...]:
    return tuple(getattr(lookup(CHECKS, name, "check"), "NEEDS", ()))


def _divided(evidence: Evidence) -> bool:
    return evidence.split is not None or bool(evidence.samples["split"].notna().any())


def _known(names: Sequence[str]) -> list[str]:
    for name in names:
        lookup(CHECKS, name, "check")
    return list(names)


def _files_now(context: Context) -> str:
    """Checksum of the sizes and times of the source's images and masks: they may change after ingest."""
    from curate.ground_truth import mask_files

    rows = tables.to_rows(tables.read(context.paths.samples))
    files = [path for row in rows for path in (Path(row["filepath"]), *mask_files(row))]
    return fingerprint([_state(path) for path in files])


def _state(path: Path) -> list[int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]
