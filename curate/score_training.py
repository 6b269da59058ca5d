"""Which images the detectors of a call learn from: normal ones, and others only where that is asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from curate.errors import DataFault, listed


@dataclass(frozen=True)
class Choice:
    """What the user asks for beyond the normal images of the training part.

    Attributes:
        fit_unknown: images of the training part that nobody has labelled count as normal.
        n_anomalies: labelled anomalous images of each category for detectors that learn from them; 0 for
            none.
        robust: the largest share of the normals that may be left out as suspicious; None leaves all in.
    """

    fit_unknown: bool = False
    n_anomalies: int = 0
    robust: float | None = None

    def __post_init__(self) -> None:
        if self.n_anomalies < 0:
            raise ValueError(
                f"Expected a number of anomalous images of at least 0, found {self.n_anomalies}."
            )
        if self.robust is not None and not 0 < self.robust < 0.5:
            raise ValueError(
                f"Expected the share of normals that may be left out to be above 0 and below 0.5, found "
                f"{self.robust}."
            )


@dataclass(frozen=True)
class Lessons:
    """The images that a detector learns from.

    Attributes:
        train: rows to fit on as normal.
        anomalies: rows of labelled anomalous images; empty for a detector that does not learn from them.
        set_aside: sample ids of the calibration part that are no evidence any more: the anomalous images
            that are learned from, and what shares a part with them.
        facts: what the report says of them.
    """

    train: pd.DataFrame
    anomalies: pd.DataFrame
    set_aside: tuple[str, ...]
    facts: Mapping[str, Any]


def lessons(samples: pd.DataFrame, choice: Choice, learns_from_anomalies: bool, seed: int) -> Lessons:
    """Choose what one detector learns from.

    Anomalous images of the training part come first. Those still wanted are drawn from the calibration part,
    at most half of the ones there, as a threshold is chosen on the rest. Test images are never taken.

    Args:
        samples: sample table with assigned_split.
        seed: equal seeds draw equal images.

    Raises:
        DataFault: anomalous images are asked for and a category has none to give.
    """
    in_training = samples["assigned_split"] == "train"
    labels = ["normal", "unknown"] if choice.fit_unknown else ["normal"]
    train = samples[in_training & samples["label"].isin(labels)]
    facts: dict[str, Any] = {"n_unknown_as_normal": int((train["label"] == "unknown").sum())}
    if not (choice.n_anomalies and learns_from_anomalies):
        return Lessons(train, samples.iloc[:0], (), facts)
    anomalous = samples[samples["label"] == "anomalous"]
    drawn, without = [], []
    for category in sorted(set(train["category"])):
        own = anomalous[anomalous["category"] == category]
        taught = _first(own[own["assigned_split"] == "train"], choice.n_anomalies, seed)
        kept = own[own["assigned_split"] == "calibration"]
        taken = _first(kept, min(choice.n_anomalies - len(taught), len(kept) // 2), seed)
        drawn += [taught, taken]
        if taught.empty and taken.empty:
            without.append(f"{category}: {len(kept)} in calibration")
    if without:
        raise DataFault(
            f"DataFault: {len(without)} categories have no labelled anomalous image to learn from:\n"
            f"{listed(without)}\nThey come from the training part, or from half of those in calibration; "
            "test images are never used. Label more, split again with a larger share of anomalous images "
            "in calibration (anomalous_calibration), or score without --with-anomalies."
        )
    anomalies = pd.concat(drawn)
    aside = _set_aside(samples, anomalies)
    facts |= {
        "n_anomalies": len(anomalies),
        "n_anomalies_of_calibration": int((anomalies["assigned_split"] == "calibration").sum()),
        "anomalies": sorted(anomalies["sample_id"].tolist()),
        "set_aside": aside,
    }
    return Lessons(train, anomalies, tuple(aside), facts)


def _first(rows: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """The first rows in an order that only depends on the seed."""
    places = [
        hashlib.sha256(f"{seed} {sample_id}".encode()).hexdigest() for sample_id in rows["sample_id"].tolist()
    ]
    return rows.assign(_place=places).sort_values("_place").drop(columns="_place").iloc[:n]


def _set_aside(samples: pd.DataFrame, anomalies: pd.DataFrame) -> list[str]:
    """Calibration images that were learned from, and those that show the same parts."""
    calibration = samples[samples["assigned_split"] == "calibration"]
    used = calibration["sample_id"].isin(anomalies["sample_id"])
    if "part_id" in samples.columns:
        used |= calibration["part_id"].isin(calibration[used]["part_id"].dropna())
    return sorted(calibration[used]["sample_id"].tolist())


def check_supervision(names: list[str], choice: Choice) -> dict[str, bool]:
    """Which detectors learn from labelled anomalies.

    Raises:
        ValueError: one of them cannot do without and there are none, or none of them can learn from them.
    """
    from detectors import detector_class

    classes = {name: detector_class(name) for name in names}
    learning = {name: each.accepts_anomalies for name, each in classes.items()}
    needing = [name for name, each in classes.items() if each.supervision != "normal"]
    if needing and not choice.n_anomalies:
        raise ValueError(
            f"{', '.join(needing)} cannot be fitted on normal images alone. Say how many labelled anomalous "
            "images of each category it may learn from: --with-anomalies N."
        )
    if choice.n_anomalies and not any(learning.values()):
        raise ValueError(
            f"None of these detectors learns from anomalous images: {', '.join(names)}. Leave out "
            "--with-anomalies, or choose one that does."
        )
    return learning
