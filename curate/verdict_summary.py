"""Who decided what and how fast, how far people agree, and which questions are open."""

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from curate.agreement import Agreement, of_pair, overlap
from curate.images import Array
from curate.intervals import Estimate
from curate.opinions import DISPUTED, WANTED, Standing, Verdict

Row = dict[str, Any]
Held = Mapping[str, Standing]  # by sample id
KINDS = ("normal", "anomalous", "skipped", "unsure", "mask_rejected")
N_WORST = 10


def people(rows: Sequence[Verdict]) -> list[Row]:
    """What each person gave: counts, and seconds where they were noted.

    Args:
        rows: all verdicts of a dataset, those taken back and those on replaced pictures included.

    Returns:
        by, n_given, n_undone, a number for each of KINDS, n_masks (decisions with one), n_timed, median_s,
        total_s, first_at, last_at of each; most decisions first.
    """
    of: dict[str, list[Verdict]] = {}
    for row in rows:
        of.setdefault(row["by"], []).append(row)
    found = [_person(by, own) for by, own in sorted(of.items())]
    return sorted(found, key=lambda person: -person["n_given"])


def _person(by: str, rows: Sequence[Verdict]) -> Row:
    given = [row for row in rows if row["verdict"] != "undone"]
    kinds = Counter(row["verdict"] for row in given)
    seconds = [row["seconds"] for row in given if row.get("seconds") is not None]
    moments = sorted(str(row["at"]) for row in rows)
    return {
        "by": by,
        "n_given": len(given),
        "n_undone": len(rows) - len(given),
        **{f"n_{kind}": kinds[kind] for kind in KINDS},
        "n_masks": sum(bool(row.get("mask")) for row in given),
        "n_timed": len(seconds),
        "median_s": statistics.median(seconds) if seconds else None,
        "total_s": sum(seconds) if seconds else None,
        "first_at": moments[0],
        "last_at": moments[-1],
    }


def pairs(held: Held, paths: Mapping[str, str], read: Callable[[str, str], Array | None]) -> list[Row]:
    """How far each two people agree who decided the same images; the pair with most images first.

    Args:
        paths: relative path by sample id.
        read: the mask of a sample id with a digest, (H, W) bool; None where it cannot be used.

    Returns:
        people, label, defect_type (of images that both called anomalous and gave a type) and masks (of images
        for which both gave one) of each pair.
    """
    names = sorted({by for standing in held.values() for by in standing.decisions})
    found = []
    for first, second in itertools.combinations(names, 2):
        both = {
            sample_id: (standing.decisions[first], standing.decisions[second])
            for sample_id, standing in held.items()
            if first in standing.decisions and second in standing.decisions
        }
        if both:
            found.append({
                "people": [first, second],
                "label": _told(of_pair(*_said(both.values(), "verdict"))),
                "defect_type": _told(of_pair(*_said(both.values(), "defect_type"))),
                "masks": _masks(both, paths, read),
            })  # fmt: skip
    return sorted(found, key=lambda pair: (-pair["label"]["n"], pair["people"]))


def _said(both: Iterable[tuple[Verdict, Verdict]], what: str) -> tuple[list[str], list[str]]:
    """What both said in one entry of their decisions, where both said something."""
    told = [(one[what], other[what]) for one, other in both if one[what] and other[what]]
    return [one for one, _ in told], [other for _, other in told]


def _masks(
    both: Mapping[str, tuple[Verdict, Verdict]],
    paths: Mapping[str, str],
    read: Callable[[str, str], Array | None],
) -> Row:
    overlaps: list[tuple[float, str]] = []
    for sample_id, (one, other) in both.items():
        masks = [read(sample_id, row["mask"]) for row in (one, other) if row.get("mask")]
        if len(masks) == 2 and masks[0] is not None and masks[1] is not None:
            overlaps.append((overlap(masks[0], masks[1]), paths[sample_id]))
    values = [value for value, _ in overlaps]
    return {
        "n": len(values),
        "median": statistics.median(values) if values else None,
        "worst": [{"relative_path": path, "overlap": value} for value, path in sorted(overlaps)[:N_WORST]],
    }


def _told(found: Agreement) -> Row:
    return {
        "n": found.n,
        "n_same": found.n_same,
        "observed": _figure(found.observed),
        "kappa": _figure(found.kappa),
        "counts": [list(pair) for pair in found.counts],
    }


def _figure(estimate: Estimate) -> Row:
    told = asdict(estimate)
    return {name: told[name] for name in ("value", "low", "high", "level", "method", "note")}


def open_questions(
    held: Held, now: Mapping[str, tuple[str, list[str]]], paths: Mapping[str, str]
) -> dict[str, list[Row]]:
    """The images that are disputed and those for which somebody wants a second opinion, by path.

    An image that is both is told once, as disputed.

    Args:
        now: label and defect types in force by sample id.
        paths: relative path by sample id.

    Returns:
        Under "disputed" and "wanted": sample_id, relative_path, label, defect_types, about (what people
        differ in), asked_by and said (the decision of each person) of each image.
    """
    found: dict[str, list[Row]] = {DISPUTED: [], WANTED: []}
    for sample_id, standing in sorted(held.items(), key=lambda item: paths[item[0]]):
        if standing.second_opinion is None:
            continue
        said = [
            {"by": by, **{name: row.get(name) for name in ("verdict", "defect_type", "mask", "at")}}
            for by, row in standing.decisions.items()
        ]
        found[standing.second_opinion].append({
            "sample_id": sample_id, "relative_path": paths[sample_id], "label": now[sample_id][0],
            "defect_types": now[sample_id][1], "about": standing.disputed, "said": said,
            "asked_by": list(standing.unsure),
        })  # fmt: skip
    return found
