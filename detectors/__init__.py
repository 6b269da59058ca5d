"""Anomaly detectors: images in, scores and maps out.

Uses numpy and torch only; loading images, tables and datasets is the caller's part.
"""

import difflib
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.base import Detector


@dataclass(frozen=True)
class Entry:
    """A registered detector: where its class is and what it is for; listing imports nothing heavy."""

    target: str
    summary: str

    def load(self) -> Any:
        """Import and return the class."""
        module_name, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module_name), attribute)


DETECTORS = {
    "padim": Entry("detectors.padim:Padim", "one Gaussian per position over pretrained features"),
    "npad": Entry("detectors.npad:Npad", "PaDiM of neighbouring positions, plus distance to cluster centres"),
    "dfr": Entry("detectors.dfr:Dfr", "autoencoder over pretrained features; the error of rebuilding them"),
    "differnet": Entry("detectors.differnet:Differnet", "normalising flow over pooled pretrained features"),
    "fcdd": Entry("detectors.fcdd:Fcdd", "network whose output is the heat map, trained against confetti"),
    "patch_svdd": Entry("detectors.patch_svdd:PatchSvdd", "distance of learned patch embeddings to normals"),
    "uninformed_students": Entry(
        "detectors.uninformed_students:UninformedStudents",
        "students that imitate a teacher's patch descriptors",
    ),
}

# "tiled:padim" is padim on tiles; what stands behind the colon is another detector, or a peer's model
PREFIXES = {
    "tiled": Entry("detectors.tiled:Tiled", "any detector on overlapping tiles of the image"),
    "multiscale": Entry("detectors.multiscale:MultiScale", "any detector at several sizes of the image"),
    "anomalib": Entry("detectors.anomalib_model:AnomalibModel", "any model of anomalib, by its class name"),
}


def detector_class(name: str) -> "type[Detector]":
    """The class of a detector.

    Raises:
        ValueError: the name is unknown, and the message lists the nearest known names; or a prefix is twice.

    >>> detector_class("padin")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: Unknown detector "padin". Did you mean "padim"... Known: ...
    """
    if name in DETECTORS:
        found: type[Detector] = DETECTORS[name].load()
        return found
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        if prefix in rest.split(":")[:-1]:
            raise ValueError(f'"{prefix}:" stands twice in the name "{name}"; once does the same.')
        wrapper = PREFIXES[prefix].load()
        return wrapper.around(rest)  # type: ignore[no-any-return]
    near = difflib.get_close_matches(name, DETECTORS, n=3)
    quoted = " or ".join(f'"{each}"' for each in near)
    hint = f" Did you mean {quoted}?" if near else ""
    known = f"{', '.join(DETECTORS)}; around any of them tiled: and multiscale:, and anomalib:MODEL"
    raise ValueError(f'Unknown detector "{name}".{hint} Known: {known}.')


def create(
    name: str, *, cache_folder: Path | None = None, profile: str = "cpu", **options: Any
) -> "Detector":
    """A detector that is not fitted yet.

    Args:
        name: key of DETECTORS.
        cache_folder: where networks exported for the fast runtimes are kept; None exports anew.
        profile: "cpu" (default), "paper" or "smoke".
        options: fields of the detector's config that differ from the profile.

    Raises:
        ValueError: an unknown name, profile or option, or a value that is out of range.
    """
    found = detector_class(name)
    return found(found.config_class.from_profile(profile, **options), cache_folder=cache_folder)


def load(folder: Path, device: str = "cpu", **options: Any) -> "Detector":
    """A detector that `save` wrote, whichever it is; options as in Detector.load.

    Raises:
        FileNotFoundError: the folder holds no saved detector.
        OtherWeights: it was fitted with other backbone weights than the ones found here; a ValueError.
    """
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["detector"]
    return detector_class(name).load(folder, device, **options)
