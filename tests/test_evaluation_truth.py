"""An evaluation says which masks of the test part people took from the evaluated detector's own proposals."""

from typing import Any

import numpy as np
import pytest

from curate import drawn_masks, offered, tables, verdicts
from curate.evaluation import Options
from curate.evaluation_words import caveats
from curate.files import write_json
from curate.proposal_table import mask_of
from curate.steps import evaluate, propose
from curate.steps.evaluation_truth import proposed
from curate.steps.propose import Asked
from curate.steps.record import Context
from tests.helpers.evaluated import dataset, scored
from tests.helpers.tiny import HEIGHT, WIDTH

HW = HEIGHT, WIDTH
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Context:
    made = scored(dataset(tmp_path_factory.mktemp("own"), ("weave",), n_train=4, n_good=6, n_per_defect=3))
    propose.run(made, "keen", Asked("plain"))
    return made


@pytest.fixture
def context(built: Context) -> Context:
    """As if nobody had decided anything."""
    built.paths.verdicts.unlink(missing_ok=True)
    offered.corrections_file(built.paths, "keen").unlink(missing_ok=True)
    return built


def test_part(context: Context) -> dict[str, str]:
    samples = tables.read(context.paths.samples).merge(tables.read(context.paths.split), on="sample_id")
    test = samples[samples["assigned_split"] == "test"]
    return dict(zip(test["sample_id"], test["category"], strict=True))


test_part.__test__ = False  # type: ignore[attr-defined]


def offers(context: Context) -> Rows:
    """The proposals of the test images, by sample."""
    found: Rows = {}
    for row in tables.to_rows(propose.read(context, "keen")):
        if row["sample_id"] in test_part(context):
            found.setdefault(row["sample_id"], []).append(row)
    return found


def accept(context: Context, name: str, mask: np.ndarray, digests: list[str], detector: str = "keen") -> None:
    """A verdict as the App stores it."""
    sample = tables.read(context.paths.samples).set_index("sample_id").loc[name]
    named = drawn_masks.store(context.paths.drawn_masks, name, mask)
    row = {
        "sample_id": name, "sha256": sample["sha256"], "verdict": "anomalous", "defect_type": None,
        "by": "ada", "at": "2026-01-01T00:00:00.000000+00:00", "mask": named,
        "before": {"label": sample["label"], "defect_types": list(sample["defect_types"]), "verdict": None},
        "shown": {"place": "image", "detector": detector, "threshold": None, "proposals": digests},
    }  # fmt: skip
    verdicts.append_mirror(context.paths.verdicts, [row])


def test_masks_taken_from_proposals_are_counted_and_those_without_an_edit_too(context: Context) -> None:
    (first, own), (second, others) = list(offers(context).items())[:2]
    accept(context, first, mask_of(own, HW), [row["digest"] for row in own])
    edited = mask_of(others, HW)
    edited[:2, :2] = ~edited[:2, :2]
    accept(context, second, edited, [row["digest"] for row in others])
    assert proposed(context, "keen", test_part(context)) == {"weave": {"n_images": 2, "n_unedited": 1}}
    assert proposed(context, "dull", test_part(context)) == {}
    assert proposed(context, "keen", {}) == {}


def test_a_mask_drawn_from_nothing_and_a_corrected_ground_truth_are_nobodys(context: Context) -> None:
    (first, own), (second, _) = list(offers(context).items())[:2]
    accept(context, first, mask_of(own, HW), [])
    write_json(offered.corrections_file(context.paths, "keen"), {"samples": {second: "truth"}})
    accept(context, second, np.eye(*HW, dtype=bool), ["0" * 16])
    assert proposed(context, "keen", test_part(context)) == {}


def test_the_evaluation_says_so_and_notices_whose_they_were(context: Context) -> None:
    first, own = next(iter(offers(context).items()))
    quick = Options(n_replicates=10)
    accept(context, first, mask_of(own, HW), [row["digest"] for row in own])
    result = evaluate.run(context, ("keen", "dull"), quick)["evaluation"]
    told = {each["detector"]: each["about"]["own_masks"] for each in result["detectors"]}
    assert told == {"keen": {"weave": {"n_images": 1, "n_unedited": 1}}, "dull": {}}
    (said,) = [text for text in caveats(result) if "own proposals" in text]
    assert said.startswith("keen (weave): 1 test image has a mask that people took from this detector's own")
    context.paths.verdicts.unlink()
    accept(context, first, mask_of(own, HW), [row["digest"] for row in own], detector="dull")
    again = evaluate.run(context, ("keen", "dull"), quick)["evaluation"]
    assert [bool(each["about"]["own_masks"]) for each in again["detectors"]] == [False, True]
