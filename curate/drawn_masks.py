"""Masks that people accepted or drew: files that never change, named by the sample and their content.

A verdict names the digest. So a mask is on the disk before the verdict that names it, a killed program leaves
at most a file that nothing names, and taking a verdict back needs no file to be altered.
"""

import hashlib
from pathlib import Path

import numpy as np

from curate.errors import Missing, Unreadable
from curate.files import write_bytes
from curate.images import Array, encode_png
from curate.masks import read_mask


def digest(mask: Array) -> str:
    """What a mask is known by: 16 hex digits of its size and pixels.

    Args:
        mask: (H, W) bool.
    """
    held = np.packbits(np.ascontiguousarray(mask, dtype=np.bool_))
    return hashlib.sha256(f"{mask.shape[0]}x{mask.shape[1]}:".encode() + held.tobytes()).hexdigest()[:16]


def path_of(folder: Path, sample_id: str, named: str) -> Path:
    """Where the mask with this digest lies; `folder` is the dataset's drawn_masks."""
    return folder / f"{sample_id}-{named}.png"


def store(folder: Path, sample_id: str, mask: Array) -> str:
    """Write a mask unless it is there, flushed to the disk, 255 on the defect; returns its digest.

    Args:
        mask: (H, W) bool, of the size of the image.

    Raises:
        StorageFull: no space is left; nothing is stored.
    """
    named = digest(mask)
    path = path_of(folder, sample_id, named)
    if not path.exists():
        write_bytes(path, encode_png(mask.astype(np.uint8) * 255))
    return named


def read(folder: Path, sample_id: str, named: str) -> Array:
    """The mask with this digest, (H, W) bool.

    Raises:
        Missing: there is no such file.
        Unreadable: the file is damaged, or was altered after the verdict.
    """
    path = path_of(folder, sample_id, named)
    if not path.exists():
        raise Missing(
            f"Missing: a verdict on sample {sample_id} names the mask {path.name}, which is not in {folder}. "
            "Bring the folder back from a copy, or take the verdict back."
        )
    mask = read_mask(path)
    if digest(mask) != named:
        raise Unreadable(
            f"Unreadable: {path} is not as it was when the verdict was given. Bring it back from a copy."
        )
    return mask
