"""Builds small seeded toy data: non-square images, defects off-centre, exact masks."""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64


def normal_image(rng: np.random.Generator) -> np.ndarray:
    """(48, 64, 3) uint8: woven texture with jittered phase and brightness."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    phase = rng.uniform(-0.4, 0.4, size=2)
    weave = np.sin(rows * 0.8 + phase[0]) * np.sin(columns * 0.8 + phase[1])
    grey = 120 + 40 * weave + rng.uniform(-6, 6) + rng.normal(0, 3, size=weave.shape)
    tinted = np.stack([grey, grey * 0.9, grey * 0.7], axis=-1)
    return np.clip(tinted, 0, 255).astype(np.uint8)


def anomalous_image(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A normal image with a bright 10 x 7 px stain, and its (48, 64) bool mask."""
    image = normal_image(rng)
    top, left = rng.integers(3, HEIGHT - 14), rng.integers(3, WIDTH - 18)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + 7, left : left + 10] = True
    image[mask] = np.clip(image[mask].astype(int) + 110, 0, 255)
    return image, mask


def write_mvtec(
    root: Path,
    category: str = "weave",
    n_train: int = 8,
    n_good: int = 4,
    defects: tuple[str, ...] = ("stain", "spot"),
    n_per_defect: int = 3,
    seed: int = 0,
) -> Path:
    """A tree in MVTec AD layout; returns `root`."""
    rng = np.random.default_rng(seed)
    base = root / category
    for split, count in (("train", n_train), ("test", n_good)):
        folder = base / split / "good"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(normal_image(rng)).save(folder / f"{index:03d}.png")
    for defect in defects:
        images, masks = base / "test" / defect, base / "ground_truth" / defect
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True, exist_ok=True)
        for index in range(n_per_defect):
            image, mask = anomalous_image(rng)
            Image.fromarray(image).save(images / f"{index:03d}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(masks / f"{index:03d}_mask.png")
    return root
