"""What the keys of the triage page ask of the database."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from curate.errors import CurateError
from curate.proposal_table import rows_of
from curate.propose import described
from curate.store import dataset, heatmaps, keys, verdicts
from curate.store.documents import object_id
from curate.store.proposals import save_proposals
from curate.store.server import Database
from tests.helpers.stored import painted, row, sample_id, table
from tests.helpers.tiny import HEIGHT, WIDTH

pytestmark = pytest.mark.mongod
NAME = "walked"


def document(name: str) -> str:
    return str(object_id(sample_id(name), "sample"))


@pytest.fixture(scope="module", autouse=True)
def saved(workspace_db: Database) -> None:
    names = [f"{index:02d}" for index in range(30)]
    rows = [row(name, "anomalous" if name > "27" else "normal") for name in names]
    rows[-1]["defect_types"] = ["dent"]
    dataset.save_samples(NAME, table(*rows))


def test_begin_lists_types_by_name_fields_and_the_walk_in_the_order_of_the_view() -> None:
    view = dataset.load(NAME).sort_by("relative_path", reverse=True)
    found = keys.begin(NAME, view)
    assert found["defect_types"] == ["dent", "stain"]
    assert (found["maps"], found["masks"]) == ([], ["gt_mask"])
    assert found["ids"] == [document(f"{index:02d}") for index in reversed(range(30))]
    assert keys.begin(NAME)["ids"] == []


def test_a_decision_tells_what_holds_now_and_undo_finds_the_last_one() -> None:
    told = keys.decide(NAME, "mark_anomalous", [document("03")], "dent")
    (sample,) = told["samples"]
    assert (told["n_verdicts"], sample["_id"]) == (1, document("03"))
    assert (sample["label"], sample["defect_types"], sample["verdict"]) == (
        "anomalous",
        ["dent"],
        "anomalous",
    )
    (given,) = verdicts.read_log(NAME)
    assert (given["sample_id"], given["defect_type"]) == (sample_id("03"), "dent")
    moment = dataset.load(NAME)[document("03")]["verdict_at"].timestamp() * 1000
    assert sample["verdict_at"] == {"_cls": "DateTime", "datetime": pytest.approx(moment, abs=1)}
    (back,) = keys.decide(NAME, "undo", [])["samples"]
    assert (back["_id"], back["label"], back["verdict"]) == (document("03"), "normal", None)
    assert back["verdict_at"] is None


def test_nothing_to_do_is_told_as_nothing(workspace_db: Database) -> None:
    assert keys.decide(NAME, "undo", []) == {"n_verdicts": 0, "samples": []}
    assert keys.decide(NAME, "undo", [document("05")]) == {"n_verdicts": 0, "samples": []}
    with pytest.raises(ValueError, match="slash"):
        keys.decide(NAME, "mark_anomalous", [document("05")], "a/b")


def test_the_script_is_where_the_plugin_says() -> None:
    folder = Path(keys.__file__).with_name("plugins") / "triage"
    said = (folder / "fiftyone.yml").read_text(encoding="utf-8")
    assert "js_bundle: keys.js" in said and (folder / "keys.js").is_file()


def test_what_the_person_had_before_their_eyes_is_stored() -> None:
    looked = {"place": "image", "detector": "padim", "seconds": 2.5}
    keys.decide(NAME, "accept_normal", [document("07")], **looked)
    given = verdicts.read_log(NAME)[-1]
    assert (given["shown"]["place"], given["shown"]["detector"], given["seconds"]) == ("image", "padim", 2.5)


@pytest.mark.parametrize("operator", ["accept_mask", "reject_mask"])
def test_a_mask_that_nobody_proposed_is_neither_accepted_nor_rejected(operator: str) -> None:
    n_before = len(verdicts.read_log(NAME))
    with pytest.raises(CurateError, match="no mask is proposed"):
        keys.decide(NAME, operator, [document("09")], detector="padim")
    assert len(verdicts.read_log(NAME)) == n_before


def test_the_strongest_place_is_the_highest_proposal_else_the_one_of_the_map(seen: Path) -> None:
    left, top, across, down = keys.strongest("seen", document("good-00"), "padim") or []
    assert (left * WIDTH, top * HEIGHT, across * WIDTH, down * HEIGHT) == (8, 5, 22, 15)  # see painted
    found = keys.strongest("seen", document("stain-02"), None)  # the threshold's detector
    assert found == pytest.approx([40 / WIDTH, 30 / HEIGHT, 6 / WIDTH, 4 / HEIGHT], abs=1e-6)
    assert keys.strongest("seen", document("good-00"), "unheard_of") is None
    assert keys.strongest(NAME, document("05"), None) is None


def test_of_several_images_those_with_a_proposed_mask_are_decided(seen: Path) -> None:
    both = [document("stain-02"), document("good-00")]
    told = keys.decide("seen", "reject_mask", both, detector="padim")
    assert [sample["_id"] for sample in told["samples"]] == [document("stain-02")]
    assert keys.begin("seen")["proposals"] == ["padim_proposals"]


@pytest.fixture(scope="module")
def seen(workspace_db: Database) -> Path:
    """The dataset "seen" with maps, and one image with two proposals: the second has the higher map value."""
    root = workspace_db.home / "datasets" / "seen"
    samples, predictions = painted(root, 2, 2)
    dataset.save_samples("seen", samples, root / "masks")
    heatmaps.save_predictions("seen", "padim", predictions, root, 0.5)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[3:8, 4:20] = mask[30:34, 40:46] = True
    heat = np.where(np.arange(HEIGHT)[:, None] < 20, 1.0, 9.0) * mask
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    found = described(image, heat.astype(np.float32), mask, "plain", mask)[::-1]
    facts = {"sample_id": sample_id("stain-02"), "detector": "padim", "threshold": 0.5, "um_per_px": None}
    save_proposals("seen", "padim", rows_of(found, facts, []))
    return root


def test_a_page_that_is_not_loaded_yet_is_told_so() -> None:
    from curate.store.plugins import triage

    known: list[Any] = []
    triage.register(SimpleNamespace(register=known.append))
    asking = next(each for each in known if each.key == "keys_begin")()
    loading = SimpleNamespace(params={"walk": True}, dataset_name=None, dataset=None, request_params={})
    assert asking.execute(loading) == {"error": "The page is still loading. Press the key once more."}
