"""The main job from a recipe: done once, resumed after any kill, always with the same bytes."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.tiny import write_mvtec

pytestmark = [pytest.mark.mongod, pytest.mark.slow]

N_KILLS = int(os.environ.get("CURATE_KILLS", "4"))
RECIPE = """
name = "weave"
seed = 5
[[sources]]
path = "images"
[[detectors]]
name = "padim"
profile = "smoke"
[[exports]]
out = "export"
"""


# curate, with a witness: every attempt to reach a network address or to look up a name is noted
WITNESSED = """
import sys
notes = open(sys.argv.pop(1), "a", buffering=1)
def witness(event, arguments):
    if event == "socket.getaddrinfo":
        notes.write(f"looks up {arguments[:2]}\\n")
    if event == "socket.connect" and not isinstance(arguments[1], (str, bytes)):
        notes.write(f"connects to {arguments[1]}\\n")
sys.addaudithook(witness)
from curate.cli import main
main()
"""


def prepare(folder: Path) -> Path:
    folder.mkdir()
    write_mvtec(folder / "images", n_train=12, n_good=8, n_per_defect=8)
    (folder / "dataset.toml").write_text(RECIPE)
    return folder


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-c",
        WITNESSED,
        str(folder / "network.txt"),
        "build",
        str(folder / "dataset.toml"),
        "--json",
        "--home",
        str(folder / "home"),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def build(folder: Path) -> dict[str, object]:
    process = start(folder)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    result: dict[str, object] = json.loads(out)
    return result


def tree_digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], float]:
    folder = prepare(tmp_path_factory.mktemp("build") / "a")
    begun = time.monotonic()
    result = build(folder)
    return folder, result, time.monotonic() - begun


def test_build_exports_a_verified_test_set(undisturbed: tuple[Path, dict[str, object], float]) -> None:
    folder, result, _ = undisturbed
    (export,) = result["exports"]  # type: ignore[misc]
    assert export["verified"]
    assert export["n_exported"] == 36
    masks = sorted((folder / "export" / "weave" / "ground_truth").rglob("*_mask.png"))
    tests = [p for p in (folder / "export" / "weave" / "test").rglob("*.png") if p.parent.name != "good"]
    assert len(masks) == len(tests) > 0


def test_build_reaches_for_no_network(undisturbed: tuple[Path, dict[str, object], float]) -> None:
    folder, _, _ = undisturbed
    assert (folder / "network.txt").read_text() == ""


def test_second_build_repeats_nothing(undisturbed: tuple[Path, dict[str, object], float]) -> None:
    folder, _, _ = undisturbed
    before = {
        path: path.stat().st_mtime_ns for path in (folder / "home" / "datasets").rglob("*") if path.is_file()
    }
    again = build(folder)
    assert not again["split"]["fresh"]  # type: ignore[index]
    assert not again["score"][0]["fresh"]  # type: ignore[index]
    assert not again["exports"][0]["fresh"]  # type: ignore[index]
    after = {
        path: path.stat().st_mtime_ns for path in (folder / "home" / "datasets").rglob("*") if path.is_file()
    }
    assert after == before


def test_build_killed_at_random_instants_ends_in_the_same_bytes(
    undisturbed: tuple[Path, dict[str, object], float], tmp_path: Path
) -> None:
    reference, _, duration_s = undisturbed
    folder = prepare(tmp_path / "b")
    rng = random.Random(os.environ.get("CURATE_KILL_SEED", "1"))
    n_killed = 0
    for _ in range(N_KILLS):
        process = start(folder)
        try:
            process.wait(timeout=rng.uniform(0.3, duration_s))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            n_killed += 1
        process.communicate()
    result = build(folder)
    assert n_killed > 0
    assert tree_digest(folder / "export") == tree_digest(reference / "export")
    assert predictions(folder) == predictions(reference)
    assert not [path for path in folder.rglob("*.partial*") if "db" not in path.parts]
    assert result["sources"][0]["n_total"] == 36  # type: ignore[index]
    assert count_in_database(folder) == (36, 36)


def predictions(folder: Path) -> dict[str, str]:
    root = folder / "home" / "datasets" / "weave" / "detectors" / "padim"
    return {
        name: digest
        for name, digest in tree_digest(root).items()
        if name.endswith((".png", "predictions.parquet"))
    }


def count_in_database(folder: Path) -> tuple[int, int]:
    """Samples in the FiftyOne dataset, and how many of them carry an anomaly map, as FiftyOne reads them."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from curate.store.server import connect\n"
        "with connect(Path(sys.argv[1])):\n"
        "    import fiftyone as fo\n"
        "    samples = list(fo.load_dataset('weave'))\n"
        "    print(len(samples), sum(s['padim_map'].get_map().ndim == 2 for s in samples))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "home")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    n_samples, n_maps = done.stdout.split()
    return int(n_samples), int(n_maps)
