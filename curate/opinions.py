"""What the verdicts of several people on one image come to: what is in force, and which questions are open.

Everybody has a stack of their own verdicts; taking back takes from that one. The latest decision of each
person about the label is their vote. What at least two people say, and more than say anything else, is in
force whenever it was said; without such a majority the latest word is. Where people differ and no majority
settles it, the image is disputed; a third person decides it, or one of them who changes their verdict.

Who calls an image anomalous without naming a defect type, or without a mask, leaves those that others gave
who agree with them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Verdict = Mapping[str, Any]  # one record after data_schemas/verdict.json
ABOUT_LABEL = ("normal", "anomalous")
WANTED = "wanted"  # somebody was not sure, and nobody else has decided since
DISPUTED = "disputed"


@dataclass(frozen=True)
class Standing:
    """What holds for one sample on which at least one verdict stands.

    Attributes:
        last: the latest verdict that stands, of anybody.
        decided: the latest decision that says the label in force; None where nobody decided it.
        defect_type: in force; None: the source's types stay, or the image is normal.
        mask: digest of the mask in force; None: nobody who agrees gave one.
        decisions: the latest decision about the label of each person.
        unsure: who waits for somebody else's opinion, in alphabetical order.
        disputed: what people differ in, "label" or "defect type"; None: in nothing that is not settled.
    """

    last: Verdict
    decided: Verdict | None
    defect_type: str | None
    mask: str | None
    decisions: Mapping[str, Verdict]
    unsure: tuple[str, ...]
    disputed: str | None

    @property
    def second_opinion(self) -> str | None:
        """Whether another person is needed: "disputed", "wanted" or None."""
        if self.disputed:
            return DISPUTED
        return WANTED if self.unsure else None


def order(row: Verdict) -> tuple[str, str]:
    """Verdicts of one image in the order in which they were given."""
    return str(row["at"]), str(row["by"])


def stacked(rows: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """The verdicts that stand on one picture, by person, oldest first.

    Args:
        rows: all verdicts on that picture, in any order.
    """
    stacks: dict[str, list[Verdict]] = {}
    for row in sorted(rows, key=order):
        stack = stacks.setdefault(row["by"], [])
        if row["verdict"] != "undone":
            stack.append(row)
        elif stack:
            stack.pop()
    return {by: stack for by, stack in stacks.items() if stack}


def newest_standing(rows: Iterable[Verdict]) -> list[Verdict]:
    """The last decision of one person that was not taken back, on one or several images given at once.

    Args:
        rows: verdicts of one person, newest first; no more of them are read than needed.
    """
    undone: Counter[str] = Counter()
    found: list[Verdict] = []
    for row in rows:
        if found and row["at"] != found[0]["at"]:
            break
        if row["verdict"] == "undone":
            undone[row["sample_id"]] += 1
        elif undone[row["sample_id"]]:
            undone[row["sample_id"]] -= 1
        else:
            found.append(row)
    return found


def together(stacks: Mapping[str, Sequence[Verdict]]) -> Standing:
    """What the verdicts that stand on one picture come to.

    Args:
        stacks: of `stacked`; at least one.
    """
    decisions, asking = {}, {}
    for by, stack in sorted(stacks.items()):
        if about_label := [row for row in stack if row["verdict"] in ABOUT_LABEL]:
            decisions[by] = about_label[-1]
        if (answered := [row for row in stack if row["verdict"] in (*ABOUT_LABEL, "unsure")]) and (
            answered[-1]["verdict"] == "unsure"
        ):
            asking[by] = answered[-1]
    last = max((stack[-1] for stack in stacks.values()), key=order)
    unsure = tuple(
        by
        for by, asked in asking.items()
        if not any(order(row) > order(asked) for other, row in decisions.items() if other != by)
    )
    if not decisions:
        return Standing(last, None, None, None, {}, unsure, None)
    label, label_open = _in_force(decisions.values(), "verdict")
    agreeing = [row for row in sorted(decisions.values(), key=order) if row["verdict"] == label]
    named, type_open = _in_force((row for row in agreeing if row["defect_type"]), "defect_type")
    masks = [row["mask"] for row in agreeing if row.get("mask")]
    disputed = "label" if label_open else "defect type" if type_open else None
    mask = masks[-1] if masks else None
    return Standing(last, agreeing[-1], named, mask, decisions, unsure, disputed)


def majority(said: Iterable[str]) -> str | None:
    """What at least two say, and more than say anything else.

    >>> majority(["normal", "anomalous", "normal"])
    'normal'
    >>> majority(["normal", "anomalous"])
    """
    ranked = Counter(said).most_common(2)
    if not ranked or ranked[0][1] < 2:
        return None
    return ranked[0][0] if len(ranked) == 1 or ranked[0][1] > ranked[1][1] else None


def _in_force(rows: Iterable[Verdict], what: str) -> tuple[str | None, bool]:
    """What these decisions, one per person, come to in one of their entries, and whether it is disputed."""
    said: list[str] = [row[what] for row in sorted(rows, key=order)]
    if not said:
        return None, False
    settled = majority(said)
    return settled or said[-1], settled is None and len(set(said)) > 1
