"""What several people's verdicts on one image come to."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import opinions, verdicts
from curate.tables import to_rows
from tests.helpers.stored import row, sample_id, table

SHA256 = str(row("a")["sha256"])
DRAWN = Path("drawn_masks")
MASK, OTHER = "0" * 16, "1" * 16
PEOPLE, KINDS = ("ada", "bob", "cem"), ("normal", "anomalous", "skipped", "unsure", "mask_rejected", "undone")


def said(*told: str) -> list[dict[str, Any]]:
    """Verdicts on sample "a", one second apart, from "who verdict [defect type] [mask:digest]"."""
    rows = []
    for second, text in enumerate(told):
        by, kind, *more = text.split()
        masks = [word.removeprefix("mask:") for word in more if word.startswith("mask:")]
        types = [word for word in more if not word.startswith("mask:")]
        rows.append({
            "sample_id": sample_id("a"), "sha256": SHA256, "verdict": kind, "by": by,
            "at": f"2026-01-01T00:00:{second:02d}+00:00", "defect_type": types[0] if types else None,
            "mask": masks[0] if masks else None,
            "before": {"label": "unknown", "defect_types": [], "verdict": None},
        })  # fmt: skip
    return rows


def held(*told: str) -> dict[str, Any]:
    """The row of sample "a", which its source calls anomalous, once these verdicts are applied."""
    return to_rows(verdicts.apply(table(row("a", "anomalous")), said(*told), DRAWN))[0]


def come_to(*told: str) -> opinions.Standing:
    return opinions.together(opinions.stacked(said(*told)))


def test_two_who_agree_settle_it_and_both_are_kept() -> None:
    standing = come_to("ada normal", "bob normal")
    assert (standing.second_opinion, standing.decided and standing.decided["by"]) == (None, "bob")
    assert {by: one["verdict"] for by, one in standing.decisions.items()} == {
        "ada": "normal",
        "bob": "normal",
    }


def test_two_who_differ_are_disputed_and_the_latest_word_holds_until_it_is_settled() -> None:
    found = held("ada normal", "bob anomalous dent")
    assert (found["label"], found["defect_types"], found["second_opinion"]) == (
        "anomalous", ["dent"], "disputed",
    )  # fmt: skip
    assert come_to("ada normal", "bob anomalous dent").disputed == "label"


@pytest.mark.parametrize(
    ("last", "label"),
    [
        ("cem normal", "normal"),
        ("cem anomalous", "anomalous"),
        ("bob normal", "normal"),
        ("ada anomalous", "anomalous"),
    ],
)
def test_a_third_person_or_one_who_changes_their_mind_settles_a_dispute(last: str, label: str) -> None:
    found = held("ada normal", "bob anomalous", last)
    assert (found["label"], found["second_opinion"]) == (label, None)


def test_a_majority_holds_against_a_later_word() -> None:
    found = held("ada normal", "bob normal", "cem anomalous")
    assert (found["label"], found["second_opinion"], found["verdict_by"]) == ("normal", None, "cem")


def test_two_against_two_is_disputed_again() -> None:
    found = held("ada normal", "bob normal", "cem anomalous", "dee anomalous")
    assert (found["label"], found["second_opinion"]) == ("anomalous", "disputed")


def test_repeating_oneself_makes_no_majority() -> None:
    found = held("ada normal", "ada normal", "bob anomalous")
    assert (found["label"], found["second_opinion"]) == ("anomalous", "disputed")


def test_defect_types_are_disputed_apart_from_the_label() -> None:
    standing = come_to("ada anomalous dent", "bob anomalous stain")
    assert (standing.second_opinion, standing.disputed) == ("disputed", "defect type")
    assert held("ada anomalous dent", "bob anomalous stain")["defect_types"] == ["stain"]
    settled = held("ada anomalous dent", "bob anomalous stain", "cem anomalous dent")
    assert (settled["defect_types"], settled["second_opinion"]) == (["dent"], None)


def test_where_the_label_is_settled_as_normal_defect_types_are_no_dispute() -> None:
    found = held("ada normal", "bob normal", "cem anomalous dent")
    assert (found["label"], found["defect_types"], found["second_opinion"]) == ("normal", [], None)


def test_who_names_no_type_and_no_mask_leaves_those_of_others_who_agree() -> None:
    found = held(f"ada anomalous dent mask:{MASK}", "bob anomalous")
    assert (found["defect_types"], found["verdict_mask"], found["second_opinion"]) == (["dent"], MASK, None)
    alone = held(f"ada anomalous dent mask:{MASK}", "ada anomalous")
    assert (alone["defect_types"], alone["verdict_mask"]) == (["stain"], None)


def test_the_mask_is_the_latest_of_those_who_say_what_is_in_force() -> None:
    two = (f"ada anomalous mask:{MASK}", f"bob anomalous mask:{OTHER}")
    assert held(*two)["verdict_mask"] == OTHER
    assert held(*two, "bob undone")["verdict_mask"] == MASK
    assert held(*two, "bob normal", "cem normal")["verdict_mask"] is None
    assert held("ada normal", "bob normal", f"cem anomalous mask:{MASK}")["verdict_mask"] is None


def test_unsure_asks_for_a_second_opinion_and_leaves_the_label() -> None:
    found = held("ada unsure")
    assert (found["label"], found["verdict"], found["second_opinion"]) == ("anomalous", "unsure", "wanted")
    after = held("ada normal", "bob unsure")
    assert (after["label"], after["second_opinion"]) == ("normal", "wanted")
    assert come_to("ada normal", "bob unsure").unsure == ("bob",)


@pytest.mark.parametrize("more", [["bob unsure"], ["bob skipped"], ["ada skipped"], ["ada mask_rejected"]])
def test_what_decides_nothing_answers_nobody(more: list[str]) -> None:
    assert held("ada unsure", *more)["second_opinion"] == "wanted"


@pytest.mark.parametrize(
    "more", [["bob normal"], ["ada normal"], ["ada undone"], ["bob unsure", "cem normal"]]
)
def test_another_who_decides_or_the_asking_person_settles_what_was_asked(more: list[str]) -> None:
    assert held("ada unsure", *more)["second_opinion"] is None


def test_what_was_decided_before_the_question_is_no_answer_to_it() -> None:
    assert held("bob normal", "ada unsure")["second_opinion"] == "wanted"
    assert held("bob normal", "ada unsure", "bob normal")["second_opinion"] is None


def test_a_dispute_is_told_rather_than_an_open_question() -> None:
    standing = come_to("ada normal", "bob anomalous", "ada unsure")
    assert (standing.second_opinion, standing.unsure) == ("disputed", ("ada",))


def test_an_undo_takes_back_the_last_verdict_of_the_same_person_only() -> None:
    found = held("ada normal", "bob anomalous", "ada undone")
    assert (found["label"], found["verdict_by"], found["second_opinion"]) == ("anomalous", "bob", None)
    assert held("ada normal", "bob undone")["label"] == "normal"
    assert held("ada normal", "bob undone", "ada undone")["verdict"] is None


def test_the_example_of_the_docs() -> None:
    told = [
        ("ada normal", "normal", [], None),
        ("bob anomalous dent", "anomalous", ["dent"], "disputed"),
        ("cem unsure", "anomalous", ["dent"], "disputed"),
        ("cem anomalous", "anomalous", ["dent"], None),
        ("ada anomalous scratch", "anomalous", ["scratch"], "disputed"),
        ("cem anomalous dent", "anomalous", ["dent"], None),
    ]
    for n_given in range(1, len(told) + 1):
        found = held(*(text for text, *_ in told[:n_given]))
        assert [found["label"], found["defect_types"], found["second_opinion"]] == list(told[n_given - 1][1:])


TOLD = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(KINDS), st.sampled_from(["", " dent", " stain"])),
    max_size=10,
)


def texts(told: Sequence[tuple[str, str, str]]) -> list[str]:
    return [f"{by} {kind}{named if kind == 'anomalous' else ''}" for by, kind, named in told]


@given(TOLD, st.randoms())
def test_the_order_in_which_verdicts_of_several_are_listed_never_matters(
    told: Any, order: random.Random
) -> None:
    rows = said(*texts(told))
    shuffled = list(rows)
    order.shuffle(shuffled)
    checksums = {sample_id("a"): SHA256}
    assert verdicts.standing(rows, checksums) == verdicts.standing(shuffled, checksums)


@given(TOLD)
def test_the_names_of_people_never_matter(told: Any) -> None:
    def come_to_by(names: Sequence[str]) -> Any:
        renamed = dict(zip(PEOPLE, names, strict=True))
        rows = said(*texts([(renamed[by], kind, named) for by, kind, named in told]))
        standing = verdicts.standing(rows, {sample_id("a"): SHA256}).get(sample_id("a"))
        of_last = standing and {**verdicts.fields(standing), "verdict_by": None}
        return verdicts.labelled("unknown", [], standing), of_last

    first, *others = (come_to_by(names) for names in itertools.permutations(PEOPLE))
    assert all(other == first for other in others)


@given(TOLD)
def test_reading_back_from_the_newest_finds_the_last_that_stands(told: Any) -> None:
    for by in PEOPLE:
        own = [one for one in said(*texts(told)) if one["by"] == by]
        stack = opinions.stacked(own).get(by, [])
        assert opinions.newest_standing(reversed(own)) == stack[-1:]


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["normal", "undone"])), max_size=10))
def test_who_say_the_same_never_dispute(told: list[tuple[str, str]]) -> None:
    rows = said(*(f"{by} {kind}" for by, kind in told))
    held = verdicts.standing(rows, {sample_id("a"): SHA256})
    assert [one.second_opinion for one in held.values()] == [None] * len(held)
