"""Keeps memory small where large arrays come and go, and tells beforehand what would not fit."""

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors.base import Detector

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
LARGE_BYTES = 32 << 20  # the most that glibc takes
KEPT_BYTES = 256 << 20


def return_large_arrays() -> None:
    """Let the C library give very large arrays back to the system as soon as they are freed.

    glibc raises its own limit with every large array that is freed, and from then on keeps such arrays in
    pieces that are hard to use again. Smaller arrays come and go with every step of a training: some free
    memory is kept for them, since asking the system each time costs up to a quarter of a fit. Has no effect
    elsewhere.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


@dataclass(frozen=True)
class Forecast:
    """What a fit will need.

    Attributes:
        fit_bytes: most memory at any time during the fit, besides the libraries' own.
        state_bytes: of the fitted detector.
        grows_with: what it grows with, in words.
        remedies: settings that need less, as text: what to change, and what it would then need.
    """

    fit_bytes: int
    state_bytes: int
    grows_with: str
    remedies: tuple[str, ...] = ()


class TooLarge(ValueError):
    """A fit would need more memory than there is."""


def check_fits(name: str, forecast: Forecast) -> None:
    """Refuse a fit that needs more memory than is free.

    Raises:
        TooLarge: what it needs, what there is, and the settings that need less.
    """
    free = available_bytes()
    if free is None or forecast.fit_bytes <= free:
        return
    raise TooLarge(
        f"Fitting {name} would need {gib(forecast.fit_bytes)} of memory, and {gib(free)} is free; it grows "
        f"with {forecast.grows_with}. {' Or: '.join(forecast.remedies)}".strip()
    )


def forecast_fit(detector: "Detector", n_images: int, sizes_hw: Sequence[tuple[int, int]]) -> Forecast | None:
    """What a fit on some number of images would need, without fitting; None where it makes no forecast.

    Args:
        detector: unfitted; its geometry is chosen as a fit would.
        n_images: normals, of which the fit holds some out.
        sizes_hw: heights and widths of the normals, or of some of them.

    Raises:
        ValueError: fewer than two images, or a setting that does not suit them.
    """
    from detectors.normals import split_normals

    config = detector.config
    detector._settle(sizes_hw)
    train, _ = split_normals(n_images, config.val_fraction, config.seed, detector._max_held_out())
    return detector.forecast(len(train))


def gpu_peak_bytes(device: str) -> int | None:
    """Most memory of a GPU that this process's arrays took so far; None for a device that is no GPU.

    Without the libraries' own memory (the CUDA context), which other tools show too.
    """
    import torch

    return int(torch.cuda.max_memory_allocated(device)) if torch.device(device).type == "cuda" else None


def gib(n_bytes: int) -> str:
    """Bytes for people.

    >>> gib(3 << 29)
    '1.5 GiB'
    """
    return f"{n_bytes / 2**30:.1f} GiB"


def available_bytes() -> int | None:
    """Memory that this process can still get: what the machine has free, within its control group's limit.

    None where the system does not tell.
    """
    found = []
    facts = Path("/proc/meminfo")
    if facts.exists():
        line = next(line for line in facts.read_text().splitlines() if line.startswith("MemAvailable"))
        found.append(int(line.split()[1]) * 1024)
    group = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = (group / limit).read_text().strip()
            if most != "max":
                found.append(int(most) - int((group / used).read_text()))
        except OSError:
            continue
    return max(0, min(found)) if found else None
