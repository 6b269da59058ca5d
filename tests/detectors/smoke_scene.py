"""Small woven textures with exact defects, for detectors: 24 normals, 8 tests."""

import numpy as np

N_NORMALS, N_TESTS = 24, 8
SIDE = 64


def weave(rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3) uint8 with jittered phase and brightness."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    phase = rng.uniform(-0.4, 0.4, size=2)
    grey = 120 + 40 * np.sin(rows * 0.7 + phase[0]) * np.sin(columns * 0.7 + phase[1])
    grey += rng.uniform(-8, 8) + rng.normal(0, 3, size=grey.shape)
    return np.clip(np.stack([grey, 0.9 * grey, 0.7 * grey], axis=-1), 0, 255).astype(np.uint8)


def defective(rng: np.random.Generator, scratch: bool) -> tuple[np.ndarray, np.ndarray]:
    """A weave with a 10 px blob or a scratch, and its (64, 64) bool mask."""
    image, mask = weave(rng), np.zeros((SIDE, SIDE), dtype=bool)
    row, column = rng.integers(10, SIDE - 16, size=2)
    if scratch:
        steps = np.arange(14)
        mask[row + steps // 3, column - 5 + steps] = mask[row + 1 + steps // 3, column - 5 + steps] = True
    else:
        rows, columns = np.mgrid[0:SIDE, 0:SIDE]
        mask = (rows - row) ** 2 + (columns - column) ** 2 <= 25
    image[mask] = np.clip(image[mask].astype(int) + 70, 0, 255)
    return image, mask


def normals(seed: int = 0, n: int = N_NORMALS) -> list[np.ndarray]:
    """Normal images to fit on."""
    rng = np.random.default_rng(seed)
    return [weave(rng) for _ in range(n)]


def tests(seed: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Defective images and their masks."""
    rng = np.random.default_rng(seed)
    return [defective(rng, scratch=bool(index % 2)) for index in range(N_TESTS)]
