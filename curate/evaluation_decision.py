"""What a threshold does on scores: alarms, misses, reviews, by defect type, elsewhere, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.decision_figures import at_threshold as figures_at
from curate.evaluation import Options, numbers, plain, told
from curate.images import Array
from curate.intervals import Estimate, grouped_proportion
from curate.threshold_advice import report
from curate.threshold_evidence import Cut, Evidence

N_STEPS = 120  # thresholds that a page can show
N_BINS = 36
N_WORST = 6
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Threshold:
    """A threshold in force.

    Attributes:
        value: None where there is none; `note` says why.
        review_from: a person looks at scores from here up to value; None without such a band, or where its
            lower end is open.
        rule: that chose it.
        source: "decision" where `curate threshold` chose it; "calibration" where it is only the rule
            max_normal on the calibration part; "none".
        claim: what the rule guarantees, in words; "" where it claims nothing.
        warnings: what the rule said when it chose.
        band: "none", "finite" or "open": a person looks at everything below value, or without one at all.
    """

    value: float | None
    review_from: float | None = None
    rule: str = ""
    source: str = "none"
    note: str = ""
    claim: str = ""
    warnings: tuple[str, ...] = ()
    band: str = "none"

    @property
    def decides(self) -> bool:
        """Whether anything is decided: what alarms, or what a person looks at."""
        return self.value is not None or self.band == "open"

    @property
    def upper(self) -> float:
        """Scores from here on alarm."""
        return np.inf if self.value is None else self.value

    @property
    def lower(self) -> float:
        """Scores below pass."""
        if self.band == "open":
            return -np.inf
        return self.upper if self.review_from is None else min(self.review_from, self.upper)


def at_threshold(
    scores: Array, anomalous: Array, groups: Sequence[str], cut: Threshold, options: Options
) -> dict[str, Any] | None:
    """Counts and rates at a threshold; None without one.

    Args:
        scores: (N,) higher is more suspicious.
        anomalous: (N,) bool.
        groups: (N,) whom each image belongs to; see curate.threshold_advice.report for what follows from it.
    """
    if not cut.decides:
        return None
    alarm, passed = scores >= cut.upper, scores < cut.lower
    review = ~alarm & ~passed
    point = report(
        Cut(cut.upper, None if cut.lower == cut.upper else cut.lower),
        Evidence.of(scores, anomalous, np.asarray(groups, dtype=object)),
        defect_rate=options.defect_rate,
        level=options.level,
        seed=options.seed,
    )
    more = figures_at(
        scores, anomalous, groups, cut.upper, options.defect_rate,
        n_replicates=options.n_replicates, seed=options.seed, level=options.level,
    )  # fmt: skip
    return {
        "n_false_alarms": int((alarm & ~anomalous).sum()),
        "n_missed": int((passed & anomalous).sum()),
        "n_reviewed_normal": int((review & ~anomalous).sum()),
        "n_reviewed_anomalous": int((review & anomalous).sum()),
        "false_alarm_rate": told(point.false_alarms),
        "miss_rate": told(point.misses),
        "review_rate": told(point.reviewed),
        "false_alarms_per_1000": told(point.false_alarms_per_1000),
        "escapes_per_million": told(point.escapes_per_million),
        **{name: told(more[name]) for name in ("precision", "f1", "precision_at_defect_rate")},
    }


def by_defect_type(
    rows: Sequence[Row],
    scores: Array,
    anomalous: Array,
    groups: Sequence[str],
    cut: Threshold,
    options: Options,
) -> list[dict[str, Any]]:
    """What becomes of each kind of defect at the threshold; an image of several kinds counts with each.

    Args:
        rows: of the sample table; an anomalous one without a type counts as "".
    """
    out = []
    kinds = [list(row["defect_types"]) or [""] for row in rows]
    for kind in sorted({name for names, bad in zip(kinds, anomalous, strict=True) if bad for name in names}):
        chosen = np.array([bool(bad) and kind in names for names, bad in zip(kinds, anomalous, strict=True)])
        of, own = scores[chosen], [group for group, one in zip(groups, chosen, strict=True) if one]
        counts = None
        if cut.decides:
            n_found, n_missed = int((of >= cut.upper).sum()), int((of < cut.lower).sum())
            counts = n_found, len(of) - n_found - n_missed, n_missed
        names = ("n_found", "n_reviewed", "n_missed")
        out.append(
            {
                "defect_type": kind,
                "n": len(of),
                **dict(zip(names, counts or (None, None, None), strict=True)),
                "recall": told(_recall(of >= cut.upper, own, options)) if counts else None,
            }
        )
    return out


def _recall(hits: Array, groups: Sequence[str], options: Options) -> Estimate:
    return grouped_proportion(hits, groups, options.level, options.n_replicates, options.seed)


def steps(scores: Array, anomalous: Array, cut: Threshold) -> dict[str, Any]:
    """Rising thresholds over the range of the scores, and how many images of each label lie at or above.

    The threshold in force and the begin of its review band are among them; at the last one nothing alarms.

    Returns:
        threshold, normal, anomalous (lists of one length), in_force and review_from (positions, or None).
    """
    known = np.unique(scores)
    picked = known[np.unique(np.linspace(0, len(known) - 1, min(N_STEPS, len(known))).round().astype(int))]
    own = [value for value in (cut.value, cut.review_from) if value is not None]
    beyond = np.nextafter(known[-1], np.inf)
    values = np.unique(np.concatenate([picked, [beyond], own]))
    counts = [
        len(side) - np.searchsorted(np.sort(side), values, side="left")
        for side in (scores[~anomalous], scores[anomalous])
    ]
    where = [
        None if value is None else int(np.searchsorted(values, value))
        for value in (cut.value, cut.review_from)
    ]
    return {
        "threshold": numbers(values),
        "normal": counts[0].tolist(),
        "anomalous": counts[1].tolist(),
        "in_force": where[0],
        "review_from": 0 if cut.band == "open" else where[1],
    }


def histogram(scores: Array, anomalous: Array, cut: Threshold) -> dict[str, Any]:
    """Scores of each label in equal bins over all scores and the threshold.

    Returns:
        edges (B + 1), normal (B), anomalous (B).
    """
    own = [value for value in (cut.value, cut.review_from) if value is not None]
    low, high = float(min(scores.min(), *own, scores.max())), float(max(scores.max(), *own, scores.min()))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, N_BINS + 1)
    counts = [np.histogram(side, edges)[0].tolist() for side in (scores[~anomalous], scores[anomalous])]
    return {"edges": numbers(edges), "normal": counts[0], "anomalous": counts[1]}


def cost_curve(
    moves: Mapping[str, Any], options: Options, n_normal: int, n_anomalous: int
) -> dict[str, Any] | None:
    """Expected cost of a part at each threshold; None without costs, or where a label is absent.

    Args:
        moves: see steps.

    Returns:
        threshold and cost (lists), defect_rate and whether it is that of the line ("stated") or only of these
        images, lowest (position of the cheapest, which is an oracle on these images), in_force (cost at the
        threshold in force, reviews included, or None), and with a review cost best_band: review_from,
        threshold and cost of the cheapest pair.
    """
    if options.cost_miss is None or options.cost_false_alarm is None or not n_normal or not n_anomalous:
        return None
    stated = options.defect_rate is not None
    rate = options.defect_rate if options.defect_rate is not None else n_anomalous / (n_normal + n_anomalous)
    alarms = (1 - rate) * np.array(moves["normal"]) / n_normal
    caught = rate * np.array(moves["anomalous"]) / n_anomalous
    costs = options.cost_miss * (rate - caught) + options.cost_false_alarm * alarms
    # [i, j]: pass below i, alarm from j on, look at what lies between
    review = (alarms + caught)[:, None] - (alarms + caught)[None, :]
    per_review = options.cost_review or 0.0
    pairs = (
        options.cost_miss * (rate - caught)[:, None]
        + options.cost_false_alarm * alarms[None, :]
        + per_review * review
    )
    pairs[np.tril_indices(len(costs), -1)] = np.inf
    at, band = moves["in_force"], moves["review_from"]
    found = {
        "threshold": moves["threshold"],
        "cost": numbers(costs),
        "defect_rate": rate,
        "stated": stated,
        "lowest": int(costs.argmin()),
        "in_force": None if at is None else plain(pairs[at if band is None else min(band, at), at]),
        "best_band": None,
    }
    if options.cost_review is not None:
        first, second = np.unravel_index(int(pairs.argmin()), pairs.shape)
        found["best_band"] = {
            "review_from": moves["threshold"][first],
            "threshold": moves["threshold"][second],
            "cost": plain(pairs[first, second]),
        }
    return found


def worst(
    rows: Sequence[Row], scores: Array, anomalous: Array, cut: Threshold
) -> dict[str, list[dict[str, Any]]]:
    """The images that tell most: the worst misses and false alarms, else those nearest to them.

    Returns:
        missed: anomalous images that pass, lowest score first. false_alarms: normal images that alarm,
        highest first. nearest: without a miss, the anomalous images with the lowest scores.
    """
    order = sorted(range(len(rows)), key=lambda index: (scores[index], rows[index]["sample_id"]))
    bad = [index for index in order if anomalous[index]]
    good = [index for index in reversed(order) if not anomalous[index]]
    missed = [index for index in bad if cut.decides and scores[index] < cut.lower]
    alarms = [index for index in good if scores[index] >= cut.upper]
    picked = {"missed": missed, "false_alarms": alarms, "nearest": [] if missed else bad[: N_WORST // 2]}
    return {
        name: [
            {
                "sample_id": rows[index]["sample_id"],
                "relative_path": rows[index]["relative_path"],
                "anomaly_score": float(scores[index]),
                "defect_types": list(rows[index]["defect_types"]),
            }
            for index in chosen[:N_WORST]
        ]
        for name, chosen in picked.items()
    }
