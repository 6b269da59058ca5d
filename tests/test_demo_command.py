"""curate demo on a folder of one's own: the whole job, from images to a verified export."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.tiny import write_mvtec

pytestmark = [pytest.mark.mongod, pytest.mark.slow]


def curate(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "curate.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_demo_of_an_own_folder_is_exported_and_the_export_verb_finds_it_done(tmp_path: Path) -> None:
    source = write_mvtec(tmp_path / "tiles", n_train=6, n_good=6, n_per_defect=4)
    home = tmp_path / "home"
    result = curate("demo", "--data", str(source), "--no-serve", "--home", str(home))
    assert result["dataset"] == "tiles"
    (export,) = result["exports"]
    assert export["verified"]
    assert export["n_exported"] == 20
    assert (home / "recipes" / "tiles.toml").exists()
    assert Path(result["picture"]).read_bytes().startswith(b"\x89PNG")
    manifest = (Path(export["out"]) / "manifest.json").read_bytes()
    again = curate("export", "tiles", "--home", str(home))
    assert not again["fresh"]
    overwritten = curate("export", "tiles", "--overwrite", "--home", str(home))
    assert overwritten["fresh"]
    assert (Path(export["out"]) / "manifest.json").read_bytes() == manifest
