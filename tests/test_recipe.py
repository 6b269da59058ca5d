"""A recipe is read whole, and its faults are told all at once."""

import re
import tomllib
from pathlib import Path

import pytest

from curate.errors import CurateError, Missing
from curate.recipe import example, load
from curate.score_training import Choice


def write(folder: Path, text: str) -> Path:
    path = folder / "dataset.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_make_a_runnable_recipe(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, 'name = "tiles"\n[[sources]]\npath = "images"\n'))
    assert recipe.sources[0].path == tmp_path / "images"
    assert recipe.sources[0].format == "auto"
    assert [d["name"] for d in recipe.detectors] == ["padim"]
    assert (recipe.threshold_rule, recipe.stop_on, recipe.split_policy) == ("f1_max", "error", "auto")
    assert recipe.exports[0].format == "mvtec_ad"


def test_relative_paths_start_at_the_recipe(tmp_path: Path) -> None:
    text = (
        'name = "t"\n[[sources]]\npath = "../raw"\n[[exports]]\nout = "out"\n[checks]\ngate = "gate.toml"\n'
    )
    (tmp_path / "deep").mkdir()
    recipe = load(write(tmp_path / "deep", text))
    assert recipe.sources[0].path.resolve() == (tmp_path / "raw").resolve()
    assert recipe.exports[0].out == tmp_path / "deep" / "out"
    assert recipe.gate == tmp_path / "deep" / "gate.toml"


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    text = """
name = "bad name!"
seed = -1
colour = "red"
[[sources]]
format = "mvtec"
[threshold]
rule = "f1max"
detector = "dino"
[[detectors]]
name = "padim"
"""
    with pytest.raises(CurateError) as caught:
        load(write(tmp_path, text))
    message = str(caught.value)
    for part in (
        "bad name!",
        "-1",
        "colour",
        "'path' is a required property",
        'unknown format "mvtec"',
        'unknown threshold rule "f1max"; known: ',
        '"dino" is not among the detectors padim',
    ):
        assert part in message


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="line 2"):
        load(write(tmp_path, 'name = "a"\nseed = = 3\n'))


def test_absent_recipe_says_so(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="there is no recipe"):
        load(tmp_path / "dataset.toml")


@pytest.mark.parametrize("folder", ["plain", 'with "quotes" and \\ back', "Träger/数据"])
def test_written_example_loads_whatever_the_path(tmp_path: Path, folder: str) -> None:
    text = example("tiles", Path("/data") / folder, "auto", seed=3)
    recipe = load(write(tmp_path, text))
    assert recipe.sources[0].path == Path("/data") / folder
    assert recipe.seed == 3
    assert tomllib.loads(text)["checks"]["stop_on"] == "error"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("detectors = []", "detectors"),
        ('detectors = [{name = "pdim"}]', 'unknown detector "pdim"; known: '),
        ('detectors = [{name = "padim"}, {name = "padim"}]', 'the detector "padim" is there twice'),
        ("split = {fractions = {train = 0.9}}", "split.fractions: Expected fractions"),
    ],
)
def test_settings_that_no_step_could_use_are_told_before_any_work(
    tmp_path: Path, line: str, told: str
) -> None:
    with pytest.raises(CurateError, match=re.escape(told)):
        load(write(tmp_path, f'name = "a"\nsources = [{{path = "x"}}]\n{line}\n'))


def test_folder_in_place_of_a_recipe_says_so(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"recipe .* cannot be read .*Expected a TOML file"):
        load(tmp_path)


def test_files_named_in_options_are_below_the_source_or_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "inside.csv").touch()
    text = """
name = "t"
[[sources]]
path = "raw"
format = "fpc"
options = { table = "inside.csv", codes = "codes.csv", category = "codes.csv", columns = { lot = "Los" } }
"""
    recipe = load(write(tmp_path, text))
    assert recipe.sources[0].reader_options == {
        "table": "inside.csv",
        "codes": str(tmp_path / "codes.csv"),
        "category": "codes.csv",
        "columns": {"lot": "Los"},
    }


def test_several_detectors_have_settings_of_their_own_and_say_what_they_learn_from(tmp_path: Path) -> None:
    recipe = load(
        write(
            tmp_path,
            """
name = "tiles"
[[sources]]
path = "images"
[[detectors]]
name = "padim"
profile = "smoke"
[[detectors]]
name = "tiled:padim"
tile_side = 128
[score]
fit_unknown = true
with_anomalies = 3
robust = 0.2
[threshold]
detector = "tiled:padim"
""",
        )
    )
    assert recipe.detectors == [
        {"name": "padim", "profile": "smoke"},
        {"name": "tiled:padim", "tile_side": 128},
    ]
    assert Choice(**recipe.learning) == Choice(True, 3, 0.2)
    assert recipe.threshold_detector == "tiled:padim"


def test_an_unknown_detector_behind_a_colon_is_told(tmp_path: Path) -> None:
    text = 'name = "t"\n[[sources]]\npath = "i"\n[[detectors]]\nname = "tiled:padam"\n[score]\nrobust = 0.5\n'
    with pytest.raises(CurateError, match=r'(?s)robust.*unknown detector "tiled:padam"; known: .*padim'):
        load(write(tmp_path, text))


def test_a_threshold_is_asked_for_with_parameters(tmp_path: Path) -> None:
    text = """name = "t"
[[sources]]
path = "images"
[threshold]
rule = "conformal"
params = { alpha = 0.02 }
level = "region"
group = "lot"
defect_rate = 0.001
"""
    recipe = load(write(tmp_path, text))
    assert recipe.threshold_settings == {
        "params": {"alpha": 0.02}, "level": "region", "group": "lot", "defect_rate": 0.001,
    }  # fmt: skip


def test_a_parameter_that_the_rule_does_not_have_is_a_fault_of_the_recipe(tmp_path: Path) -> None:
    text = 'name = "t"\n[[sources]]\npath = "i"\n[threshold]\nrule = "conformal"\nparams = { alfa = 0.02 }\n'
    with pytest.raises(CurateError, match=r'threshold: Unknown parameter "alfa" .* Did you mean "alpha"'):
        load(write(tmp_path, text))
    with pytest.raises(
        CurateError, match=r'threshold: The rule "conformal" is for the level image or region'
    ):
        load(write(tmp_path, text.replace("params = { alfa = 0.02 }", 'level = "pixel"')))
