import pytest

from curate.progress import Stage, bar, stages
from curate.score_settings import check_names, parse
from tests.test_cli import run_curate


def test_a_setting_for_one_detector_wins_over_one_for_all():
    told = parse(["npad:window=5", "window=3", "runtime=torch"], ["padim", "npad"])
    assert told == {
        "padim": {"window": 3, "runtime": "torch"},
        "npad": {"window": 5, "runtime": "torch"},
    }


def test_the_last_colon_before_the_value_ends_a_detector_with_a_colon():
    told = parse(["tiled:padim:tile_side=64", "weights=/a:b/c=d.pt"], ["tiled:padim"])
    assert told == {"tiled:padim": {"tile_side": 64, "weights": "/a:b/c=d.pt"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window", "expects key=value"),
        ("=5", "expects key=value"),
        ("npad:=5", "expects key=value"),
        (":window=5", "expects key=value"),
        ("dfr:n_steps=5", 'for the detector "dfr", which is not among those that score: padim, npad'),
    ],
)
def test_a_setting_that_cannot_be_placed_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse([text], ["padim", "npad"])


def test_names_that_are_unknown_or_twice_are_told_together():
    with pytest.raises(ValueError, match=r'(?s)"padim" is named twice.*Unknown detector "x".*Known: .*padim'):
        check_names(["padim", "x", "padim"])
    check_names(["padim", "tiled:padim"])


@pytest.mark.parametrize("name", ["tiled:tiled:padim", "multiscale:tiled:multiscale:padim"])
def test_a_prefix_that_stands_twice_is_told(name):
    with pytest.raises(ValueError, match=f'stands twice in the name "{name}"'):
        check_names([name])


def test_stages_have_a_line_each_with_their_unit_and_loss(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with stages() as tell:
        tell(Stage("dfr bottle", "fit", 7, 7))
        for step in range(1, 6):
            tell(Stage("dfr bottle", "train", step, 5, 1 / step))
        tell(Stage("dfr cable", "fit", 3, 9))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 3
    assert lines[0].startswith("dfr bottle fit")
    assert "7/7" in lines[0]
    assert "images/s" in lines[0]
    assert "loss" not in lines[0]
    assert lines[1].startswith("dfr bottle train")
    assert "5/5" in lines[1]
    assert "steps/s" in lines[1]
    assert "loss 0.2" in lines[1]
    assert lines[2].startswith("dfr cable fit")
    assert "3/9" in lines[2]


def test_a_bar_has_no_loss(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    with bar("scoring", 3, "maps") as advance:
        advance(3)
    assert "maps/s" in (told := capsys.readouterr().err)
    assert "loss" not in told


def test_unknown_detectors_are_wrong_usage_whatever_else_is_wrong(tmp_path):
    done = run_curate("score", "nothing", "--detector", "padim", "--detector", "nopad", home=tmp_path)
    assert done.returncode == 2
    assert 'Unknown detector "nopad". Did you mean "npad"' in done.stderr
    assert "Traceback" not in done.stderr
    done = run_curate("score", "nothing", "--set", "npad:window=5", home=tmp_path)
    assert done.returncode == 2
    assert "not among those that score: padim" in done.stderr
