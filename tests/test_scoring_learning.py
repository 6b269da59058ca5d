"""What detectors learn from besides normal training images, and what then counts as evidence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import detectors
from curate import tables
from curate.errors import DataFault
from curate.masks import read_mask
from curate.recipe import Source
from curate.score_training import Choice, check_supervision, lessons
from curate.steps import ingest, score, split, threshold
from curate.steps.joined import set_aside, with_scores, with_split
from curate.steps.record import Context
from curate.workspace import Workspace
from detectors.base import Example
from detectors.padim import Padim
from tests.helpers.tiny import write_mvtec
from tests.test_scoring import TINY

SEEN: list[list[Example]] = []


class Taught(Padim):
    """PaDiM that is given labelled anomalies, and keeps what it was given."""

    name: ClassVar[str] = "taught"
    accepts_anomalies: ClassVar[bool] = True

    def _fit(self, images: Any, n_images: int, anomalies: Any, loop: Any) -> int:
        SEEN.append(list(anomalies))
        return super()._fit(images, n_images, anomalies, loop)


class Needy(Taught):
    """One that cannot do without."""

    name: ClassVar[str] = "needy"
    supervision: ClassVar[detectors.base.Supervision] = "normal+labels"


@dataclass(frozen=True)
class Given:
    """A registry entry whose class is at hand."""

    found: type[Padim]
    summary: str = "for tests"

    def load(self) -> type[Padim]:
        return self.found


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    for kind in (Taught, Needy):
        monkeypatch.setitem(detectors.DETECTORS, kind.name, Given(kind))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    root = write_mvtec(tmp_path / "tree", n_train=6, n_good=6, n_per_defect=6)
    (root / "weave" / "ground_truth" / "spot" / "000_mask.png").unlink()
    ingest.run(context, Source(root))
    split.run(context)
    return context


def samples(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """A table of rows (sample_id, assigned_split, label, part_id)."""
    columns = ["sample_id", "assigned_split", "label", "part_id"]
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows]).assign(category="weave")


TABLE = samples(
    ("n1", "train", "normal", "p1"), ("n2", "train", "normal", "p2"), ("u1", "train", "unknown", "p3"),
    ("u2", "test", "unknown", "p4"), ("b1", "train", "anomalous", "p1"),
    ("b2", "calibration", "anomalous", "q"), ("b3", "calibration", "anomalous", "r"),
    ("n3", "calibration", "normal", "q"),
    ("n4", "calibration", "normal", "r"), ("n5", "calibration", "normal", None),
    ("b4", "test", "anomalous", "s"),
)  # fmt: skip


def test_unknown_and_anomalous_images_are_left_alone_unless_asked_for():
    learned = lessons(TABLE, Choice(), True, seed=0)
    assert learned.train["sample_id"].tolist() == ["n1", "n2"]
    assert learned.anomalies.empty
    assert (learned.set_aside, learned.facts) == ((), {"n_unknown_as_normal": 0})


def test_unknown_images_of_the_training_part_count_as_normal_when_asked_for():
    learned = lessons(TABLE, Choice(fit_unknown=True), True, seed=0)
    assert learned.train["sample_id"].tolist() == ["n1", "n2", "u1"]
    assert learned.facts["n_unknown_as_normal"] == 1


def test_anomalies_come_from_training_first_then_from_half_of_calibration():
    one = lessons(TABLE, Choice(n_anomalies=1), True, seed=0)
    assert (one.anomalies["sample_id"].tolist(), one.set_aside) == (["b1"], ())
    many = lessons(TABLE, Choice(n_anomalies=9), True, seed=0)
    drawn = [name for name in many.anomalies["sample_id"] if name != "b1"]
    assert len(drawn) == 1
    assert drawn[0] in ("b2", "b3")
    assert set(many.set_aside) == ({"b2", "n3"} if drawn == ["b2"] else {"b3", "n4"})
    assert (many.facts["n_anomalies"], many.facts["n_anomalies_of_calibration"]) == (2, 1)


def test_another_seed_draws_other_anomalies():
    table = samples(
        ("n1", "train", "normal", None),
        *((f"b{number}", "calibration", "anomalous", None) for number in range(40)),
    )
    drawn = [
        lessons(table, Choice(n_anomalies=5), True, seed).anomalies["sample_id"].tolist()
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    shuffled = lessons(table.sample(frac=1, random_state=1), Choice(n_anomalies=5), True, 0)
    assert shuffled.anomalies["sample_id"].tolist() == drawn[0]


def test_no_anomaly_to_learn_from_says_what_to_do():
    table = TABLE[~TABLE["sample_id"].isin(["b1", "b2"])]
    with pytest.raises(DataFault, match=r"(?s)weave: 1 in calibration.*score without --with-anomalies"):
        lessons(table, Choice(n_anomalies=2), True, seed=0)
    assert lessons(table, Choice(n_anomalies=2), False, seed=0).anomalies.empty


def test_detectors_and_the_choice_have_to_fit_together():
    with pytest.raises(
        ValueError, match=r"needy cannot be fitted on normal images alone.*--with-anomalies N"
    ):
        check_supervision(["padim", "needy"], Choice())
    with pytest.raises(ValueError, match="None of these detectors learns from anomalous images: padim"):
        check_supervision(["padim"], Choice(n_anomalies=3))
    learning = check_supervision(["padim", "needy"], Choice(n_anomalies=3))
    assert learning == {"padim": False, "needy": True}


def test_anomalies_come_with_their_masks_and_are_no_evidence_any_more(context):
    results = score.run_all(context, {"padim": TINY, "taught": TINY}, choice=Choice(n_anomalies=2))
    facts = [result["report"]["training"] for result in results]
    assert facts[0] == {"n_unknown_as_normal": 0}
    aside = set_aside(context, "taught")
    assert sorted(aside) == facts[1]["set_aside"] == facts[1]["anomalies"]
    truth = with_split(context).set_index("sample_id").loc[facts[1]["anomalies"]]
    assert set(truth["assigned_split"]) == {"calibration"}
    assert set(truth["label"]) == {"anomalous"}
    assert len(SEEN[-1]) == 2
    expected = [mask_of(context, name) for name in facts[1]["anomalies"]]
    given = sorted((each.mask is None or each.mask.sum() for each in SEEN[-1]), key=int)
    assert given == sorted((mask is None or mask.sum() for mask in expected), key=int)
    assert all(each.label == 1 for each in SEEN[-1])
    parts = []
    for name in ("padim", "taught"):
        seen = with_scores(context, name).set_index("sample_id").loc[aside]["assigned_split"]
        figures = threshold.run(context, name)["by_category"]["weave"]["calibration"]
        parts.append((set(seen), figures["n_anomalous"]))
    assert parts[0][0] == {"calibration"}
    assert parts[1] == ({"train"}, parts[0][1] - 2)


def mask_of(context: Context, sample_id: str) -> np.ndarray | None:
    path = context.paths.masks / f"{sample_id}.png"
    return read_mask(path, "> 0") if path.exists() else None


def test_an_anomalous_image_without_a_mask_has_its_label_only(context):
    score.run(context, "taught", TINY, choice=Choice(n_anomalies=99))
    ids = set_aside(context, "taught")
    n_without = sum(mask_of(context, name) is None for name in ids)
    assert sum(each.mask is None for each in SEEN[-1]) == n_without
    assert len(SEEN[-1]) == len(ids) >= 2


def test_other_anomalies_fit_again(context):
    score.run(context, "taught", TINY, choice=Choice(n_anomalies=1))
    assert not score.run(context, "taught", TINY, choice=Choice(n_anomalies=1))["fresh"]
    assert score.run(context, "taught", TINY, choice=Choice(n_anomalies=2))["fresh"]
    assert [len(each) for each in SEEN] == [1, 2]


def test_unknown_images_are_fitted_on_only_when_asked_for(context):
    path = context.paths.samples
    table = tables.read(path)
    train = table.index[table["split"] == "train"]
    table.loc[train[:2], "label"] = "unknown"
    tables.write(table, path)
    split.run(context)
    usual = score.run(context, "padim", TINY)["report"]
    asked = score.run(context, "padim", TINY, choice=Choice(fit_unknown=True))
    assert asked["fresh"]
    assert (usual["n_normals"], asked["report"]["n_normals"]) == (4, 6)
    assert asked["report"]["training"]["n_unknown_as_normal"] == 2


@pytest.mark.parametrize("options", [{"n_anomalies": -1}, {"robust": 0.0}, {"robust": 0.5}])
def test_a_choice_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=r"found (-1|0\.0|0\.5)"):
        Choice(**options)
