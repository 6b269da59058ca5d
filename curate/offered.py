"""Which masks are offered to a person for a detector: its proposals, and ground truth to be corrected.

Not offered are proposals that somebody rejected, and all of an image whose mask a person accepted or drew.
Both follow from the verdicts that stand, so taking one back offers the proposals again. Ground truth is
offered in place of proposals as long as it is the one in force.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from curate import tables
from curate.errors import CurateError
from curate.files import fingerprint, read_json, sha256_file
from curate.masks import boxes_to_mask, read_mask
from curate.opinions import stacked
from curate.tables import to_rows
from curate.truth import in_force, key
from curate.truth_regions import rows_of_truth
from curate.verdicts import apply, standing
from curate.workspace import DatasetPaths, file_name

TABLE = "proposals.parquet"
Row = Mapping[str, Any]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Withheld:
    """What the verdicts that stand keep away.

    Attributes:
        rejected: sample id -> digests of proposals that somebody rejected.
        accepted: sample id -> digest of the mask that a person accepted or drew.
    """

    rejected: Mapping[str, Collection[str]]
    accepted: Mapping[str, str]

    def offers(self, proposal: Row) -> bool:
        """Whether a proposal, after data_schemas/proposal.json, is still offered."""
        name = proposal["sample_id"]
        return name not in self.accepted and proposal["digest"] not in self.rejected.get(name, ())


def withheld(given: Iterable[Row], checksums: Mapping[str, str]) -> Withheld:
    """What verdicts keep away.

    Args:
        given: after data_schemas/verdict.json, in any order.
        checksums: sample id -> sha256 of the image as it is now; verdicts on other pictures do not count.
    """
    of_sample: dict[str, list[Row]] = {}
    for row in given:
        if checksums.get(row["sample_id"]) == row["sha256"]:
            of_sample.setdefault(row["sample_id"], []).append(row)
    rejected: dict[str, set[str]] = {}
    for name, rows in of_sample.items():
        for stack in stacked(rows).values():
            for row in stack:
                shown = row.get("shown") or {}
                if row["verdict"] == "mask_rejected" and shown.get("proposals"):
                    rejected.setdefault(name, set()).update(shown["proposals"])
    held = standing((row for rows in of_sample.values() for row in rows), checksums)
    return Withheld(rejected, {name: one.mask for name, one in held.items() if one.mask})


def rows(
    paths: DatasetPaths,
    detector: str,
    given: Iterable[Row],
    only: Collection[str] | None = None,
    *,
    proposals: bool = True,
) -> Rows:
    """What is offered for a detector; rows as curate.store.proposals.save_proposals takes them.

    Args:
        detector: or the name under which ground truth is corrected where there are no scores.
        given: the verdicts on these samples, after data_schemas/verdict.json.
        only: sample ids; None: all.
        proposals: whether the table of proposals counts; it does not where it is out of date.

    Raises:
        Unreadable: a table or mask is damaged.
    """
    samples, verdicts = _those(tables.read(paths.samples), only), list(given)
    kept = withheld(verdicts, _checksums(samples))
    table = paths.detector(detector) / TABLE
    proposed = to_rows(_those(tables.read(table), only)) if proposals and table.exists() else []
    corrected = _truth(paths, detector, samples, verdicts)
    named = {row["sample_id"] for row in corrected}
    return [
        *(row for row in proposed if row["sample_id"] not in named and kept.offers(row)),
        *(row for row in corrected if row["digest"] not in kept.rejected.get(row["sample_id"], ())),
    ]


def state(paths: DatasetPaths, detector: str, given: Iterable[Row]) -> str | None:
    """One text for all that rows follows from beside the tables; None: there is nothing else."""
    noted, verdicts = corrections(paths, detector), list(given)
    if not noted and not any(row.get("mask") or row["verdict"] == "mask_rejected" for row in verdicts):
        return None
    kept = withheld(verdicts, _checksums(tables.read(paths.samples)))
    rejected = {name: sorted(digests) for name, digests in kept.rejected.items()}
    made = [paths.masks / f"{name}.png" for name in sorted(noted)]
    files = [sha256_file(path) if path.exists() else None for path in made]
    return fingerprint([noted, files, rejected, dict(kept.accepted)])


def corrections(paths: DatasetPaths, detector: str) -> dict[str, str]:
    """The samples whose ground truth is to be corrected under a detector's name -> curate.truth.key of it."""
    try:
        noted = read_json(corrections_file(paths, detector))
    except CurateError:
        return {}
    return dict(noted["samples"])


def corrected(paths: DatasetPaths) -> list[str]:
    """The names under which ground truth is to be corrected; see curate.steps.correct."""
    return sorted(unquote(path.stem) for path in (paths.root / "corrections").glob("*.json"))


def corrections_file(paths: DatasetPaths, detector: str) -> Path:
    """Where corrections are noted."""
    return paths.root / "corrections" / f"{file_name(detector)}.json"


def _truth(paths: DatasetPaths, detector: str, samples: pd.DataFrame, given: Iterable[Row]) -> Rows:
    """The ground truth of samples that are to be corrected, where it is still the one that was meant."""
    noted = corrections(paths, detector)
    chosen = samples[samples["sample_id"].isin(noted)]
    if chosen.empty:
        return []
    found: Rows = []
    for row in to_rows(apply(chosen, given, paths.drawn_masks)):
        if key(row, paths.masks) != noted[row["sample_id"]]:
            continue
        path, image_hw = in_force(row, paths.masks), (int(row["height"]), int(row["width"]))
        boxes = [box["box_xyxy"] for box in row["boxes"] or ()]
        mask = boxes_to_mask(boxes, image_hw) if path is None else read_mask(path)
        if mask.shape == image_hw:
            found += rows_of_truth(row, mask)
    return found


def _those(table: pd.DataFrame, only: Collection[str] | None) -> pd.DataFrame:
    return table if only is None else table[table["sample_id"].isin(only)]


def _checksums(samples: pd.DataFrame) -> dict[str, str]:
    return dict(zip(samples["sample_id"], samples["sha256"], strict=True))
