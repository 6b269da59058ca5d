"""File and folder names of an export: safe on every system, unique, and in an order that pairs with masks."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath

from curate.faults import shown

UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))})
MAX_NAME_BYTES = 200  # leaves room for an id, "_mask" and the suffix within the usual 255


def unsafe(name: str) -> str | None:
    """Why a name cannot be a folder on every system; None when it can.

    >>> unsafe("cut/deep")
    "has the character '/'"
    >>> unsafe("kratzer läng")
    """
    if found := UNSAFE.search(name):
        return f"has the character {found.group()!r}"
    if name.strip(" ") != name or name.endswith("."):
        return "begins or ends with a blank, or ends with a dot"
    if name.startswith("."):
        return "begins with a dot"
    if not name:
        return "is empty"
    if name.split(".")[0].lower() in DEVICES:
        return "is a device name on Windows"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return None


def folder_faults(kind: str, names: Iterable[str], reserved: Mapping[str, str]) -> list[str]:
    """What is wrong with the names of folders that will lie side by side, one line each.

    Args:
        kind: "category" or "defect type", for the message.
        names: the wanted names.
        reserved: names in lower case that mean something else in the layout, and what.
    """
    wanted = sorted(set(names))
    lines = [f'{kind} "{shown(name)}" {why}' for name in wanted if (why := unsafe(name))]
    lines += [
        f'{kind} "{n}" is {reserved[n.lower()]} in this layout' for n in wanted if n.lower() in reserved
    ]
    alike: dict[str, list[str]] = defaultdict(list)
    for name in wanted:
        alike[_plain(name)].append(name)
    for same in alike.values():
        if len(same) > 1:
            quoted = " and ".join(f'"{name}"' for name in same)
            lines.append(f"{kind} {quoted} differ only in upper and lower case")
    return lines


def stems(relative_paths: Mapping[str, str]) -> dict[str, str]:
    """Stems for images that will lie in one folder, by sample_id.

    The original stem is kept unless it is unsafe, not unique (in any case), or the beginning of another stem;
    then the first digits of the sample's id follow it. The last rule keeps images and masks in one order:
    "a1.png" sorts before "a10.png", yet "a1_mask.png" after "a10_mask.png", and readers that pair by position
    (anomalib's MVTecAD does) would give each the other's mask.

    Args:
        relative_paths: original relative path, by sample_id.

    >>> stems({"0123456789abcdef": "a/a1.png", "fedcba9876543210": "a/a10.png"})
    {'0123456789abcdef': 'a1_01234567', 'fedcba9876543210': 'a10'}
    """
    originals = {sample_id: PurePosixPath(path).stem for sample_id, path in relative_paths.items()}
    chosen = {sample_id: _cleaned(stem) for sample_id, stem in originals.items()}
    for n_digits in (8, 16):
        marked = _clashing(chosen) | {i for i in chosen if n_digits == 8 and chosen[i] != originals[i]}
        for sample_id in marked:
            chosen[sample_id] = f"{_cleaned(originals[sample_id])}_{sample_id[:n_digits]}"
    return {sample_id: sample_id for sample_id in chosen} if _clashing(chosen) else chosen


def _plain(name: str) -> str:
    """What a system that ignores case and Unicode spelling takes the name for."""
    return unicodedata.normalize("NFC", name).casefold()


def _cleaned(stem: str) -> str:
    safe = UNSAFE.sub("_", stem).strip(" .")
    while len(safe.encode()) > MAX_NAME_BYTES:
        safe = safe[:-1]
    return safe if safe and safe.split(".")[0].lower() not in DEVICES else f"image_{safe}".rstrip("_")


def _clashing(chosen: Mapping[str, str]) -> set[str]:
    """Samples whose stem occurs twice, or begins another stem."""
    times = Counter(_plain(stem) for stem in chosen.values())
    in_order = sorted(chosen.values())
    begins = {first for first, second in pairwise(in_order) if second.startswith(first)}
    return {i for i, stem in chosen.items() if times[_plain(stem)] > 1 or stem in begins}
