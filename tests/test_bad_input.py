"""Bad input and broken surroundings: a clear message, exit code 1, and what was stored before still opens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod

LIMITED = (
    "import resource, signal, sys\n"
    "from curate.cli import main\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
    "main()\n"
)


def curate(home: Path, *arguments: str, script: str = "") -> "subprocess.CompletedProcess[str]":
    start = [sys.executable, "-c", script] if script else [sys.executable, "-m", "curate.cli"]
    return subprocess.run(
        [*start, *arguments, "--home", str(home)], capture_output=True, text=True, timeout=200, check=False
    )


def n_stored(home: Path, name: str) -> int:
    """Samples as FiftyOne itself reads them, in a process of its own."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom curate.store.server import connect\n"
        "with connect(Path(sys.argv[1])):\n"
        "    import fiftyone as fo\n"
        "    print(sum(1 for sample in fo.load_dataset(sys.argv[2]) if sample.ground_truth.label))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home), name],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return int(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with one good dataset, split, whose database stays up for the whole module."""
    from curate.store.server import connect

    folder = tmp_path_factory.mktemp("bad") / "home"
    good = write_mvtec(folder.parent / "good", n_train=8, n_good=6, n_per_defect=4)
    with connect(folder):
        assert curate(folder, "ingest", str(good), "--name", "good").returncode == 0
        assert curate(folder, "split", "good").returncode == 0
        yield folder


def test_every_bad_file_is_named_at_once_and_the_good_ones_are_stored(home: Path, tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "mixed", n_train=6, n_good=3, n_per_defect=2)
    weave = root / "weave"
    whole = (weave / "train/good/000.png").read_bytes()
    (weave / "train/good/000.png").write_bytes(whole[: len(whole) // 2])
    (weave / "train/good/001.png").write_bytes(b"")
    (weave / "test/good/000.png").write_text("this is no picture")
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(weave / "ground_truth/stain/000_mask.png")
    os.rename(os.fsencode(weave / "test/good/001.png"), os.fsencode(weave / "test/good") + b"/caf\xe9.png")  # noqa: PTH104
    (weave / "test/good/loop").symlink_to(weave)
    done = curate(home, "ingest", str(root), "--name", "mixed", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    told = "\n".join(f"{row['relative_path']}: {row['message']} {row['remedy']}" for row in result["faults"])
    for name in (
        "train/good/000.png is cut short",
        "train/good/001.png is empty",
        "test/good/000.png is not a PNG",
        "caf\\xe9.png has a name that is not UTF-8",
        "test/good/loop is a link",
        "64 x 48 px, but its mask 000_mask.png has 40 x 30 px",
    ):
        assert name in told, f"{name} is not in:\n{told}"
    assert result["n_images"] == n_stored(home, "mixed") == 6 + 3 + 4 - 4
    assert n_stored(home, "good") == 22
    again = curate(home, "check", "mixed")
    assert again.returncode == 1
    assert "unreadable" in again.stdout
    assert "Traceback" not in done.stderr + again.stderr


def test_absent_source_says_what_was_expected(home: Path, tmp_path: Path) -> None:
    done = curate(home, "ingest", str(tmp_path / "nowhere"), "--name", "absent")
    assert done.returncode == 1
    assert "does not exist. Expected a folder of images" in done.stderr


def test_unknown_layout_says_why_no_format_matches(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("nothing to see")
    done = curate(home, "ingest", str(tmp_path / "notes"))
    assert done.returncode == 1
    for name in ("mvtec_ad", "deep_pcb", "magnetic_tile", "folder"):
        assert name in done.stderr


def test_full_disk_during_export_leaves_no_half_export_and_the_next_run_completes(
    home: Path, tmp_path: Path
) -> None:
    """A file size limit stands for the full disk: the operating system refuses the write half way."""
    out = tmp_path / "out"
    failed = curate(home, "export", "good", "--out", str(out), script=LIMITED)
    assert failed.returncode == 1
    assert "no space left while writing" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not out.exists()
    assert curate(home, "export", "good", "--out", str(out)).returncode == 0
    assert curate(home, "verify", str(out)).returncode == 0
    assert n_stored(home, "good") == 22


def test_taken_port_is_named_with_the_remedy(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = curate(home, "triage", "good", "--port", str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "--port" in done.stderr


def test_mongod_killed_while_ingesting_keeps_what_was_stored(tmp_path: Path) -> None:
    home = tmp_path / "home"
    source = write_mvtec(tmp_path / "images", n_train=60, n_good=10, n_per_defect=5)
    first = write_mvtec(tmp_path / "first", n_train=3, n_good=2, n_per_defect=1)
    assert curate(home, "ingest", str(first), "--name", "first").returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "curate.cli", "ingest", str(source), "--name", "second", "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.kill(running_mongod(home, process), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "DatabaseDown" in err
    assert "Run the command again" in err
    assert "Traceback" not in err
    again = curate(home, "ingest", str(source), "--name", "second")
    assert again.returncode == 0, again.stderr
    assert (n_stored(home, "first"), n_stored(home, "second")) == (7, 80)


def running_mongod(home: Path, user: "subprocess.Popen[str]") -> int:
    """Process id of the workspace's mongod, once a user is connected to it."""
    lock = home / "db" / "mongod.lock"
    limit = time.monotonic() + 60
    while time.monotonic() < limit and user.poll() is None:
        if lock.exists() and (text := lock.read_text().strip()) and list((home / "run").glob("*.sock")):
            time.sleep(0.3)  # the command has its connection by now, and loads FiftyOne for a second
            return int(text)
        time.sleep(0.01)
    raise AssertionError(f"no mongod came up; the command said: {user.communicate()}")
