"""The command line answers at once, and loads nothing heavy to do so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curate.cli import VERBS

HEAVY = {
    "fiftyone",
    "torch",
    "torchvision",
    "pandas",
    "albumentations",
    "skimage",
    "numpy",
    "ray",
    "pyarrow",
    "cv2",
}


def run_curate(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate.cli", *arguments]
    if home is not None:
        command += ["--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [("--help",), *((verb, "--help") for verb in VERBS)])
def test_help_loads_no_heavy_package(arguments: tuple[str, ...]) -> None:
    script = (
        "import sys, json\n"
        "from curate.cli import main\n"
        f"sys.argv = ['curate', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "print('LOADED', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(done.stdout.rpartition("LOADED ")[2]))
    assert not loaded & HEAVY
    assert "Usage: curate" in done.stdout


def test_unknown_dataset_lists_the_known_ones_and_ends_with_1(tmp_path: Path) -> None:
    done = run_curate("split", "nothing", home=tmp_path)
    assert done.returncode == 1
    assert 'has no dataset "nothing" (it has: none yet)' in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    done = run_curate("ingest", str(tmp_path), "--name", "../escape", home=tmp_path / "home")
    assert done.returncode == 2
    assert '"../escape" must have 1 to 80 letters' in done.stderr


def test_failed_command_leaves_a_record_of_its_error(tmp_path: Path) -> None:
    run_curate("split", "nothing", "--seed", "7", home=tmp_path)
    (record,) = tmp_path.glob("runs/*/run.json")
    content = json.loads(record.read_text())
    assert content["status"] == "failed"
    assert content["seed"] == 7
    assert 'no dataset "nothing"' in content["error"]
    assert content["duration_s"] >= 0
    assert content["peak_memory_mib"] > 1
    assert "python" in content["versions"]


def test_json_error_is_json(tmp_path: Path) -> None:
    done = run_curate("verify", str(tmp_path / "absent"), "--json", home=tmp_path / "home")
    assert done.returncode == 1
    assert json.loads(done.stdout)["exit_code"] == 1
