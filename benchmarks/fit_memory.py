"""Peak memory of a fit against the number of images: padim and npad should not grow.

    python benchmarks/fit_memory.py [--detectors padim npad] [--counts 100 400 1000 3200]

Every fit runs in a process of its own, at the "cpu" profile, on noise that is drawn when it is asked for.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import detectors  # noqa: E402


class Noise(Sequence):
    """Pictures that exist only while they are looked at."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.sizes_hw = [(256, 256)] * n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> np.ndarray:
        coarse = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        return np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    """Measure and store."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--detectors", nargs="*", default=["padim", "npad"])
    options.add_argument("--counts", nargs="*", type=int, default=[100, 400, 1000, 3200])
    options.add_argument("--out", type=Path, default=HERE / "results" / "fit_memory.json")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        detectors.create(chosen.one[0]).fit(Noise(int(chosen.one[1])))
        print(peak_mib())
        return
    rows = []
    for name in chosen.detectors:
        for count in chosen.counts:
            command = [sys.executable, __file__, "--one", name, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append({"detector": name, "n_images": count, "peak_mib": round(float(done.stdout))})
            print(rows[-1], flush=True)
    chosen.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
