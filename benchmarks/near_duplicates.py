"""How well near copies are found: pairs of pictures of one part, beside a plain perceptual hash.

    python benchmarks/near_duplicates.py DATA

DATA is the magnetic tile set in its own layout, in which several exposures show one tile. Two pictures belong
together when the reader gives them one part_id. The threshold is chosen on a random half of the parts and
judged on the other half; pairs across the halves are left out. Drawn FPC sections, in which different parts
of one design look alike, get planted copies: there, every pair that was not planted is a false alarm.
"""

import argparse
import json
import platform
import re
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from curate import near_copies, statistics  # noqa: E402
from curate.ingest import build_table  # noqa: E402
from curate.scenes import SCENES  # noqa: E402
from curate.scenes.scene import render  # noqa: E402

LOWEST = 0.1
LEAST_PRECISION = 0.999
HASH_BITS = (0, 2, 4, 6, 8, 10, 12)
EQUAL_SIZE, CLOSE_NUMBERS = 0.06, 150
N_DRAWN, N_PLANTED = 60, 6


def tiles(data: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Precision and recall of pairs on the magnetic tiles, by half of the parts."""
    samples, _ = build_table(data, "magnetic_tile")
    table = samples.merge(statistics.table(samples, folder / "tiles.sqlite"), on="sample_id")
    table = table.sort_values("sample_id").reset_index(drop=True)
    parts = np.random.default_rng(seed).permutation(sorted(table["part_id"].unique()))
    chosen_on = table["part_id"].isin(parts[: len(parts) // 2]).to_numpy()
    same, likely = _truth(table)
    started = time.process_time()
    found = near_copies.pairs(table[statistics_columns()], least=LOWEST)
    cpu_s = time.process_time() - started
    scores = _square(found, table, "similarity")
    bits = _hash_distances(table)
    thresholds = [round(float(value), 2) for value in np.arange(LOWEST, 0.61, 0.02)]
    halves = {"chosen on": chosen_on, "judged on": ~chosen_on}
    result: dict[str, Any] = {"n_images": len(table), "n_parts": len(parts), "search_cpu_s": round(cpu_s, 1)}
    for name, half in halves.items():
        inside = np.triu(np.outer(half, half), 1)
        result[name] = {
            "n_pairs": int(inside.sum()),
            "similarity": {f"{t:.2f}": _figures(scores >= t, inside, same, likely) for t in thresholds},
            "hash": {f"{b}": _figures(bits <= b, inside, same, likely) for b in HASH_BITS},
        }
    by_threshold = result["chosen on"]["similarity"]
    good = [t for t in by_threshold if by_threshold[t]["precision"] >= LEAST_PRECISION]
    result["chosen_threshold"] = float(min(good, key=float))
    inside = np.triu(np.outer(~chosen_on, ~chosen_on), 1)
    limit = near_copies.LEAST_FREE
    result["built_in"] = {"threshold": limit, "judged on": _figures(scores >= limit, inside, same, likely)}
    return result


def statistics_columns() -> list[str]:
    """What the search looks at."""
    return ["sample_id", "thumb", "thumb_h", "thumb_w", "thumb_scale"]


def _truth(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N, N) bool: pairs of one part; and of these, those that surely show one tile.

    A part may hold two tiles that were taken one right after the other. Pairs of nearly equal size whose
    numbers are close and whose exposures differ are hardly ever of two tiles.
    """
    part = table["part_id"].to_numpy()
    same = part[:, None] == part[None]
    names = [re.search(r"exp(\d+)_num_(\d+)", path) for path in table["relative_path"]]
    exposure, number = (np.array([int(m[group]) if m else -1 for m in names]) for group in (1, 2))
    sides = np.log(table[["height", "width"]].to_numpy(dtype=float))
    equal = (np.abs(sides[:, None] - sides[None]) < EQUAL_SIZE).all(axis=2)
    close = np.abs(number[:, None] - number[None]) < CLOSE_NUMBERS
    return same, same & equal & close & (exposure[:, None] != exposure[None])


def _square(found: pd.DataFrame, table: pd.DataFrame, column: str) -> np.ndarray:
    place = pd.Series(np.arange(len(table)), index=table["sample_id"])
    scores = np.full((len(table), len(table)), -1.0)
    a, b = place[found["a"]].to_numpy(), place[found["b"]].to_numpy()
    scores[a, b] = scores[b, a] = found[column]
    return scores


def _hash_distances(table: pd.DataFrame) -> np.ndarray:
    hashes = [np.frombuffer(bytes.fromhex(phash), np.uint8) for phash in table["phash"]]
    bits = np.unpackbits(np.stack(hashes), axis=1).astype(np.int32)
    return np.asarray((bits[:, None] != bits[None]).sum(axis=2))


def _figures(
    predicted: np.ndarray, inside: np.ndarray, same: np.ndarray, likely: np.ndarray
) -> dict[str, float]:
    told = predicted & (inside > 0)
    n_told, right = int(told.sum()), int((told & same).sum())
    surely = likely & (inside > 0)
    return {
        "n_pairs": n_told,
        "n_wrong": n_told - right,
        "precision": round(right / n_told, 5) if n_told else 1.0,
        "recall_of_part_pairs": round(right / int((same & (inside > 0)).sum()), 4),
        "recall_of_sure_pairs": round(int((told & surely).sum()) / int(surely.sum()), 4),
    }


def _copies(image: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One near copy of each kind."""
    height, width = image.shape[:2]
    move = np.array([[1, 0, rng.uniform(2, 6)], [0, 1, -rng.uniform(2, 6)]], dtype=np.float32)
    top, left = rng.integers(3, 10, size=2)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    brighter = image * rng.uniform(1.1, 1.2) + rng.normal(0, 1.2, image.shape)
    return {
        "shifted": cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT),
        "re-exposed": np.clip(brighter, 0, 255).astype(np.uint8),
        "compressed": cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
        "cut": image[top : height - 4, left : width - 3],
        "scaled": cv2.resize(image[3:-3, 3:-3], (width, height)),
    }


def drawn(seed: int) -> dict[str, Any]:
    """Planted copies that are found, by kind, and false alarms, in each drawn section."""
    result = {}
    for section in SCENES:
        rng = np.random.default_rng([seed, len(section)])
        images = {f"{n:03d}": render(section, rng, design_seed=seed).image for n in range(N_DRAWN)}
        planted = {
            f"{n:03d} {kind}": copy
            for n in range(N_PLANTED)
            for kind, copy in _copies(images[f"{n:03d}"], rng).items()
        }
        rows = [
            {"sample_id": name, **statistics.measure(image)} for name, image in {**images, **planted}.items()
        ]
        pairs = near_copies.pairs(pd.DataFrame(rows))
        originals = near_copies.pairs(pd.DataFrame(rows[:N_DRAWN]))
        hits = [
            b.split(" ", 1)[1] for a, b in zip(pairs["a"], pairs["b"], strict=True) if b.startswith(f"{a} ")
        ]
        wrong = sum(a[:3] != b[:3] for a, b in zip(pairs["a"], pairs["b"], strict=True))
        kinds = sorted({name.split(" ", 1)[1] for name in planted})
        result[section] = {
            "found of each kind": {kind: f"{hits.count(kind)} of {N_PLANTED}" for kind in kinds},
            "false alarms": wrong,
            "false alarms without copies": len(originals),
            "different parts": N_DRAWN,
        }
    return result


def large(n_images: int, seed: int) -> dict[str, float]:
    """Seconds and memory for many pictures of one design that are all different."""
    rng = np.random.default_rng(seed)
    design = cv2.GaussianBlur(rng.normal(0, 400, (80, 100)), (0, 0), 3)
    thumbs = []
    for number in range(n_images):
        move = np.array([[1, 0, rng.normal(0, 1)], [0, 1, rng.normal(0, 1)]], dtype=np.float32)
        own = cv2.GaussianBlur(rng.normal(0, 14, design.shape), (0, 0), 0.8)
        image = np.clip(128 + cv2.warpAffine(design, move, design.shape[::-1]) + own, 0, 255).astype(np.uint8)
        thumb = image[:76, :96]
        thumbs.append((f"{number:07d}", thumb.tobytes(), 76, 96, 4.0))
    table = pd.DataFrame(thumbs, columns=statistics_columns())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    found = near_copies.pairs(table)
    return {
        "n_images": n_images,
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_rss_growth_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 0),
        "false alarms": len(found),
    }


def main() -> None:
    """Run everything and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "near_duplicates.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-large", type=int, default=5_000)
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        result = {
            "machine": {"python": platform.python_version(), "processor": platform.machine()},
            "seed": chosen.seed,
            "magnetic_tile": tiles(chosen.data, Path(folder), chosen.seed),
            "drawn": drawn(chosen.seed),
            "large": large(chosen.n_large, chosen.seed),
        }
    chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["magnetic_tile"]["built_in"], indent=1))


if __name__ == "__main__":
    main()
