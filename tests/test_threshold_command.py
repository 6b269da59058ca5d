"""curate threshold as a person runs it: advice, decision, history; what FiftyOne holds of it; and a build."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate.files import read_json
from curate.schema import faults, load
from tests.helpers.tiny import write_mvtec
from tests.test_cli import run_curate

pytestmark = [pytest.mark.mongod, pytest.mark.slow]
RECIPE = """
name = "weave"
[[sources]]
path = "images"
[[detectors]]
name = "padim"
profile = "smoke"
[threshold]
rule = "{rule}"
{more}
"""


def write_recipe(folder: Path, rule: str = "max_normal", more: str = "defect_rate = 0.02") -> Path:
    path = folder / "dataset.toml"
    path.write_text(RECIPE.format(rule=rule, more=more))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was built from a recipe."""
    folder: Path = tmp_path_factory.mktemp("threshold")
    write_mvtec(folder / "images", n_train=12, n_good=24, n_per_defect=12)
    done = run_curate("build", str(write_recipe(folder)), home=folder / "home")
    assert done.returncode == 0, done.stderr
    return folder / "home"


def decide(home: Path, *arguments: str) -> tuple[int, Any, str]:
    """Exit code, JSON and messages of curate threshold."""
    done = run_curate("threshold", "weave", *arguments, "--json", home=home)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def decision_of(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key in load("threshold_decision")["properties"]}


def test_a_build_decides_by_its_recipe(home: Path) -> None:
    _, told, _ = decide(home, "--list")
    (row,) = told["decisions"]
    assert (row["origin"], row["rule"], row["defect_rate"]) == ("recipe", "max_normal", 0.02)
    assert (home / "datasets/weave/threshold.png").read_bytes().startswith(b"\x89PNG")


def test_advice_has_every_rule_in_100_columns_and_stores_no_decision(home: Path) -> None:
    from curate.thresholds import THRESHOLDS

    before = read_json(home / "datasets/weave/threshold.json")
    code, told, _ = decide(home, "--advise", "--defect-rate", "0.01")
    rules = told["by_category"]["weave"]["rules"]
    assert code == 0
    assert [row["rule"] for row in rules] == [name for name in THRESHOLDS if name != "manual"]
    assert sum(row["recommended"] for row in rules) == 1
    for row in rules:
        assert row["when"]
        assert row["threshold"] is not None or row["reason"]
    done = run_curate("threshold", "weave", "--advise", "--defect-rate", "0.01", home=home)
    assert max(map(len, done.stdout.splitlines())) <= 100 or str(home) in done.stdout.splitlines()[-1]
    for word in ("alarms per 1,000", "escapes per million", "fits here", "conformal", "needs at least 99"):
        assert word in done.stdout
    assert Path(told["picture"]).read_bytes().startswith(b"\x89PNG")
    assert read_json(home / "datasets/weave/threshold.json") == before


def test_a_level_of_maps_says_first_that_it_reads_them(home: Path) -> None:
    code, _, messages = decide(home, "--level", "pixel", "--rule", "max_normal", "--dry-run")
    assert code == 0
    assert "reading the anomaly maps" in messages
    assert "reading the anomaly maps" not in decide(home, "--list")[2]


def test_the_test_part_is_refused_with_the_reason(home: Path) -> None:
    code, told, _ = decide(home, "--on", "test")
    assert code == 2
    assert "only while no choice has seen it" in told["error"]
    assert "split.fractions" in told["error"]


def test_what_contradicts_itself_is_wrong_usage_and_known_detectors_are_told(home: Path) -> None:
    for options in (("--list", "--advise"), ("--advise", "--replace", "--why", "x"), ("--list", "--replace")):
        code, told, _ = decide(home, *options)
        assert code == 2
        assert "only a decision can replace another one" in told["error"]
    code, told, _ = decide(home, "--detector", "padm")
    assert code == 1
    assert "(it has those of: padim)" in told["error"]


def test_a_wrong_parameter_is_wrong_usage(home: Path) -> None:
    code, told, _ = decide(home, "--rule", "k_sigma", "--set", "sigma=3")
    assert code == 2
    assert "Known: k (default 3.0), robust (default False)" in told["error"]
    code, told, _ = decide(home, "--advise", "--set", "alphas=0.1")
    assert code == 2
    assert "alphas" in told["error"] and "alpha," in told["error"]


def test_a_decision_is_replaced_on_demand_and_read_by_fiftyone(home: Path) -> None:
    band = ("--rule", "review_band", "--set", "alpha=0.4", "--set", "beta=0.05")
    code, told, _ = decide(home, *band)
    assert code == 1
    assert "the recipe, run by" in told["error"] and "--replace" in told["error"]
    code, told, _ = decide(home, *band, "--replace", "--why", "people look", "--by", "anna")
    assert code == 0
    assert faults([decision_of(told)], "threshold_decision") == []
    assert read_json(home / "datasets/weave/threshold.json") == decision_of(told)
    row = told["by_category"]["weave"]
    scores = run_in_fiftyone(home)
    assert [each["id"] for each in scores["decisions"]][-1] == told["id"]
    assert scores["decisions"][-1]["by_category"][0]["category"] == "weave"
    assert scores["decisions"][-1]["by"] == "anna"
    assert [each["stands"] for each in scores["decisions"]] == [False, True]
    lower, upper = row["review_from"] or float("-inf"), row["threshold"]
    assert row["band"] == ("open" if row["review_from"] is None else "finite")
    for score, outcome in scores["outcomes"]:
        wanted = "pass" if score < lower else "reject" if upper is not None and score >= upper else "review"
        assert outcome == wanted
    in_band = sum(outcome == "review" for _, outcome in scores["outcomes"])
    assert ("to review" in scores["views"]) == (in_band > 0)
    assert scores["n_to_review"] == in_band
    assert not decide(home, *band)[1]["fresh"]


def test_a_build_keeps_the_decision_of_a_person(home: Path) -> None:
    standing = read_json(home / "datasets/weave/threshold.json")
    assert standing["by"] == "anna"
    done = run_curate("build", str(home.parent / "dataset.toml"), home=home)
    assert done.returncode == 0, done.stderr
    assert "does not replace what a person decided" in done.stderr
    assert "by anna" in done.stdout
    assert read_json(home / "datasets/weave/threshold.json") == standing


def test_the_band_leaves_the_dataset_with_its_decision(home: Path) -> None:
    code, _, _ = decide(home, "--rule", "max_normal", "--replace", "--why", "nobody has time to look")
    assert code == 0
    found = run_in_fiftyone(home)
    assert {outcome for _, outcome in found["outcomes"]} == {None}
    assert "to review" not in found["views"]
    assert len(found["decisions"]) == 3


def run_in_fiftyone(home: Path) -> dict[str, Any]:
    """What FiftyOne reads of the decisions and of the images in the band."""
    import subprocess
    import sys

    script = (
        "import json, sys\nfrom pathlib import Path\nfrom curate.store.server import connect\n"
        "with connect(Path(sys.argv[1])):\n"
        "    import fiftyone as fo\n"
        "    dataset = fo.load_dataset('weave')\n"
        "    known = 'outcome' in dataset.get_field_schema()\n"
        "    outcomes = dataset.values('outcome') if known else [None] * len(dataset)\n"
        "    views = dataset.list_saved_views()\n"
        "    n = len(dataset.load_saved_view('to review')) if 'to review' in views else 0\n"
        "    print(json.dumps({'decisions': dataset.info['curate_decisions'], 'views': views,\n"
        "                      'outcomes': list(zip(dataset.values('padim_score'), outcomes)),\n"
        "                      'n_to_review': n}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
