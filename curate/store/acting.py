"""Carries out a triage operator: reads what holds, lets the operator decide, stores its verdicts."""

import getpass
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from curate import defect_names
from curate.person_names import usable
from curate.registry import lookup
from curate.store import offering, shown, verdicts
from curate.store.alone import alone
from curate.store.documents import sample_id_of
from curate.store.failures import database_errors
from curate.store.fields import fiftyone
from curate.tables import from_rows, to_rows
from curate.triage import TRIAGE
from curate.verdicts import need_writable
from curate.workspace import Workspace

OFFERS = ("reject_mask", "undo")  # operators that may change which proposals are offered


def user() -> str:
    """Who decides: CURATE_USER, else the name of the account.

    Raises:
        ValueError: a verdict cannot hold that name.
    """
    try:
        return usable(os.environ.get("CURATE_USER") or getpass.getuser())
    except (KeyError, OSError):  # an account without a name, as in some containers
        return f"uid {os.getuid()}"


def act(
    dataset_name: str,
    operator: str,
    document_ids: Sequence[str],
    *,
    by: str | None = None,
    place: str = "grid",
    detector: str | None = None,
    seconds: float | None = None,
    **options: Any,
) -> int:
    """Run the triage operator of this name and store what it decides.

    Args:
        operator: name in curate.triage.TRIAGE.
        document_ids: of samples, or of labels in them. None with "undo": the samples of that person's last
            decision. An undo passes over samples on which the person has nothing to take back.
        by: who decides; None: see user.
        place: see `shown` in data_schemas/verdict.json.
        detector: whose map was shown, and whose proposals accept_mask takes; None: that of the threshold.
        seconds: how long the person looked, at all images together; what is no duration counts as unknown,
            for the decision is worth more than the time it took.
        options: for the operator.

    Returns:
        Number of verdicts stored.

    Raises:
        ValueError: unknown operator, or an option it refuses.
        Unreadable: the mirror of the verdicts may not be written; nothing is stored.
        DatabaseDown: the database stopped.
    """
    run = lookup(TRIAGE, operator, "triage operator").run
    _need_known(run, operator, options)
    who = by or user()
    sample_ids = list(dict.fromkeys(map(sample_id_of, document_ids)))
    paths = Workspace.at().dataset(dataset_name)
    with alone(paths.verdicts):  # what holds must not change between the look and the verdict
        need_writable(paths.verdicts)  # else the log would hold what the person was told is not stored
        if operator == "undo":
            asked = sample_ids or verdicts.last_decided(dataset_name, who)
            sample_ids = verdicts.with_own(dataset_name, asked, who)
        samples = verdicts.situation(dataset_name, sample_ids)
        seen = shown.detector_of(dataset_name, detector)
        if operator == "accept_mask":
            samples = _with_proposed(samples, dataset_name, seen, options.get("defect_type"))
        decided = run(samples, by=who, at=verdicts.now_after(dataset_name), **options)
        rows = to_rows(verdicts.with_after(dataset_name, decided))
        before_them = shown.shown_to(dataset_name, sample_ids, place, seen)
        share = _share(seconds, len(rows))
        for row in rows:
            row |= {"shown": before_them[row["sample_id"]], "seconds": share}
        n_verdicts = verdicts.add(dataset_name, from_rows(rows, list(decided.columns)), paths.verdicts)
        if seen and operator in OFFERS:
            offering.follow(dataset_name, [row["sample_id"] for row in rows], seen, paths)
        return n_verdicts


def _need_known(run: Any, operator: str, options: Mapping[str, Any]) -> None:
    """Refuse what an operator cannot be told, before a mask is stored for it.

    Raises:
        ValueError: it has no such option, or the defect type cannot be used.
    """
    known = set(inspect.signature(run).parameters) - {"samples", "by", "at"}
    if unknown := sorted(options.keys() - known):
        takes = f"takes only {', '.join(sorted(known))}" if known else "takes nothing beside the images"
        raise ValueError(f'"{operator}" has no option {", ".join(unknown)}: it {takes}.')
    if (defect_type := options.get("defect_type")) is not None:
        defect_names.usable(defect_type)


def _with_proposed(
    samples: pd.DataFrame, dataset_name: str, detector: str | None, defect_type: str | None
) -> pd.DataFrame:
    """Samples with what is proposed for them, stored: the columns that accept_mask wants."""
    folder, ids = Workspace.at().dataset(dataset_name).drawn_masks, samples["sample_id"].tolist()
    kept = shown.keep_proposed(dataset_name, ids, detector, folder, defect_type) if detector else {}
    rows = [{**row, **kept.get(row["sample_id"], {})} for row in to_rows(samples)]
    return from_rows(rows, [*samples.columns, "drawn_mask", "drawn_type", "drawn_classes"])


def _share(seconds: float | None, n_verdicts: int) -> float | None:
    """Seconds for each of the verdicts that were given at once.

    >>> _share(3.0, 2)
    1.5
    """
    if seconds is None or not n_verdicts or not math.isfinite(seconds) or seconds < 0:
        return None
    return seconds / n_verdicts


@database_errors()
def known_defect_types(dataset_name: str) -> list[str]:
    """Every defect type the source or a verdict has named."""
    collection = fiftyone().load_dataset(dataset_name)._sample_collection
    named = [*collection.distinct("ground_truth.defect_types"), *collection.distinct("verdict_defect_type")]
    return sorted({name for name in named if name})
