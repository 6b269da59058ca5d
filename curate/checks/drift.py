"""Finds lots, sites, cameras and periods whose pictures as a whole differ from others of their category."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from curate.apart import standardised
from curate.checks import Evidence
from curate.drift_test import FEWEST, Moved, moved
from curate.embeddings import matrix
from curate.faults import Fault, in_order
from curate.images import Array

CODE = "drift"
SEVERITY = "warning"
NEEDS = ("statistics", "embeddings")
REMEDY = (
    "Find out what changed (lamp, focus, material, product); train and test on both sides of the change, or "
    "split by this group to measure what the change costs."
)
GROUPS = ("lot", "site", "camera")
PERIODS, N_PERIODS = "period", 4
N_COMPONENTS = 6
SEED = 20_240_229
WORDS: dict[str, str] = {
    "brightness_p50": "median brightness",
    "contrast": "contrast",
    "noise": "noise",
    "sharpness_x": "sharpness along the rows",
    "sharpness_y": "sharpness along the columns",
    "redness": "red against green",
    "blueness": "blue against green",
}


def run(evidence: Evidence) -> list[Fault]:
    """One fault per group that moved, with the measures that moved and by how much.

    Compared are lots, sites, cameras and four periods of equal size, each with 10 parts or more, in the
    statistics and in the main directions of the embeddings. Pictures labelled anomalous are left out: lots
    differ in how many of them they have.
    """
    if evidence.statistics is None or evidence.embeddings is None:
        return []
    columns = ["sample_id", "relative_path", "category", "part_id", "captured_at", *GROUPS]
    table = evidence.samples[evidence.samples["label"] != "anomalous"][columns]
    table = table.merge(evidence.statistics, on="sample_id").merge(evidence.embeddings, on="sample_id")
    table = table.sort_values("relative_path").reset_index(drop=True)
    tests = list(_tests(table))
    faults = []
    for number, (category, column, members) in enumerate(tests):
        rng = np.random.default_rng([SEED, number])
        values = _values(members)
        for found in moved(values, members[column].tolist(), members["part_id"].tolist(), len(tests), rng):
            faults.append(_fault(found, category, column, members, values))
    return in_order(faults)


def _tests(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Category, column and pictures of every comparison of at least two large enough groups."""
    for category, members in table.groupby("category", sort=True):
        for column in (*GROUPS, PERIODS):
            grouped = _with_periods(members) if column == PERIODS else members[members[column].notna()]
            n_parts = grouped.groupby(column)["part_id"].nunique()
            if (n_parts >= FEWEST).sum() >= 2:
                yield str(category), column, grouped


def _with_periods(members: pd.DataFrame) -> pd.DataFrame:
    """Dated pictures in four consecutive periods; pictures of one moment stay together."""
    dated = members[members["captured_at"].notna()].copy()
    if dated.empty:
        return dated.assign(**{PERIODS: None})
    moments = dated["captured_at"].astype(str)
    number = ((moments.rank(method="min") - 1) * N_PERIODS // len(dated)).astype(int)
    ends = moments.groupby(number).agg(["min", "max"])
    names = {key: f"{low} to {high}" for key, low, high in ends.itertuples()}
    return dated.assign(**{PERIODS: number.map(names)})


def _values(members: pd.DataFrame) -> pd.DataFrame:
    """The measures that are compared, one column each."""
    green = np.maximum(members["green"].to_numpy(dtype=float), 1e-3)
    values = {name: members[name].to_numpy(dtype=float) for name in WORDS if name in members}
    values["redness"] = members["red"].to_numpy(dtype=float) / green
    values["blueness"] = members["blue"].to_numpy(dtype=float) / green
    scores = _components(matrix(members["vector"]))
    values |= {f"appearance (direction {number + 1})": scores[:, number] for number in range(scores.shape[1])}
    return pd.DataFrame(values)


def _components(vectors: Array) -> Array:
    """Scores on the main directions of the vectors, (N, at most 6)."""
    centred = np.clip(standardised(vectors), -10, 10).astype(np.float64)
    centred -= centred.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, ::-1][:, :N_COMPONENTS])


def _fault(found: Moved, category: str, column: str, members: pd.DataFrame, values: pd.DataFrame) -> Fault:
    inside = (members[column] == found.name).to_numpy()
    first, *others = members.loc[inside, "relative_path"]
    strongest = sorted(found.effects, key=lambda name: -abs(found.effects[name]))[:4]
    beside = members[column].isin(found.others).to_numpy()
    told = ", ".join(_told(name, values[name].to_numpy(), inside, beside) for name in strongest)
    n_others = len(found.others)
    against = f"{column} {found.others[0]}" if n_others == 1 else f"{n_others} other {column}s"
    message = (
        f'{column.capitalize()} {found.name} of category "{category}" differs from {against}: {told} '
        f"(p {found.p:.4f}, {inside.sum()} of {len(inside)} pictures); the first is {first}."
    )
    return Fault(CODE, "warning", first, message, REMEDY, tuple(others))


def _told(name: str, values: Array, inside: Array, beside: Array) -> str:
    here, there = float(np.median(values[inside])), float(np.median(values[beside]))
    if name in WORDS:
        return f"{WORDS[name]} {here:.3g} instead of {there:.3g}"
    spread = 1.4826 * float(np.median(np.abs(values[beside] - there)))
    return f"{name} {abs(here - there) / max(spread, 1e-9):.1f} deviations away"
