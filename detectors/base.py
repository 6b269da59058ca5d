"""The interface that every detector keeps, and what all of them share: fitting, calibrating, saving."""

import dataclasses
import importlib.metadata
import itertools
import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from detectors.backbones.runners import Runner
from detectors.backbones.runtimes import recorded_runtime
from detectors.calibration import Calibration, calibrate
from detectors.config import Config
from detectors.devices import check_device
from detectors.geometry import Geometry, Image, Prepared, choose_hw
from detectors.loop import Loop, Progress
from detectors.memory import Forecast, check_fits, return_large_arrays
from detectors.normals import MAX_HELD_OUT, Stream, check_enough, sizes_of, split_normals
from detectors.records import Example, FitReport, Labeled, Prediction
from detectors.reductions import reduce
from detectors.saving import replacing, write_json, write_tensors

__all__ = [
    "Config",
    "Detector",
    "Example",
    "FitReport",
    "Labeled",
    "MapKind",
    "Prediction",
    "Supervision",
    "split_normals",
]

Supervision = Literal["normal", "normal+labels", "normal+masks"]
MapKind = Literal["native", "derived", "none"]


class Detector(ABC):
    """Images in, scores and maps out.

    The constructor only keeps its parameters; `fit` or `load` makes a detector usable. `predict` does
    not depend on the order of images or on which of them come together.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1  # a new number when the same images and settings give other scores
    supervision: ClassVar[Supervision] = "normal"
    scores_map: ClassVar[bool] = True  # the image score is reduced from the map, as config.score says
    accepts_anomalies: ClassVar[bool] = False  # learns from labelled anomalies where it gets them
    map_kind: ClassVar[MapKind]
    config_class: ClassVar[type[Config]] = Config

    def __init__(self, config: Config, *, cache_folder: Path | None = None) -> None:
        check_device(config.device)
        self.config = config
        self.cache_folder = cache_folder
        self.geometry_: Geometry | None = None
        self.calibration_: Calibration | None = None
        self.report_: FitReport | None = None
        self._checkpoint: Path | None = None
        self.n_normals_ = 0

    # what a detector provides

    @abstractmethod
    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        """Fit on normal images that come once; returns how many were used."""

    def forecast(self, n_images: int) -> Forecast | None:
        """Memory that a fit on some number of images needs, once the geometry is known; None: negligible."""
        return None

    def scorer(self) -> torch.nn.Module:
        """The fitted way from pixels to scores as one frozen torch module, to be exported as one graph.

        Its forward takes (1, h, w, 3) uint8 at the model's input and returns the score grid, (1, gh, gw)
        float32, as predict has it before it is brought to the image's size (with map_blur_sigma).

        Raises:
            NotImplementedError: this detector cannot be written as one graph; the message says why.
        """
        raise NotImplementedError(f"{self.name} cannot be exported as one graph.")

    map_blur_sigma: ClassVar[float] = 0.0  # of grid maps; a detector may have a property of this name

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        """Answers for held-out normals, from what was learned without them; called once after _fit.

        A detector may then learn from them too, and count them in n_normals_.
        """
        return self.predict_prepared(held_out)

    @abstractmethod
    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """Like predict, for images that `prepare` made (in another thread, say)."""

    @abstractmethod
    def _state(self) -> dict[str, Tensor]:
        """Everything fitted, as tensors on the CPU."""

    @abstractmethod
    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The reverse of _state; `meta` as _meta gave it."""

    @abstractmethod
    def _meta(self) -> dict[str, Any]:
        """Facts for meta.json: backbone_weights, backbone_hash and the like."""

    # what all of them share

    _runner: Runner | None = None  # of the backbone; set by detectors that have one

    @property
    def runtime(self) -> str | None:
        """What runs the backbone: torch, onnxruntime or openvino; None before it ran, or without one."""
        return None if self._runner is None else self._runner.runtime

    @property
    def geometry(self) -> Geometry:
        """How images come to the model's input; known once a fit has begun.

        Raises:
            ValueError: the detector is not fitted.
        """
        if self.geometry_ is None:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return self.geometry_

    def prepare(self, image: Image) -> Prepared:
        """Bring an image to the model's input; thread-safe."""
        return self.geometry.prepare(image)

    def fit(
        self,
        normals: Sequence[Image],
        anomalies: Sequence[Labeled] = (),
        *,
        progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit on normal images, then calibrate on a held-out part of them; what was done is in report_.

        Args:
            normals: (H, W, 3) uint8 each. May be lazy: items are fetched in threads, few at a time. May have
                an attribute sizes_hw, all their heights and widths; without it a few are looked at.
            anomalies: ignored, with a warning in the report, unless the detector learns from them.
            progress: called after every batch or training step.
            should_stop: polled after every batch or training step; True ends the fit with what was seen.
            checkpoint: folder where a long training keeps its state; a later fit of the same detector on the
                same images goes on from there. `save` removes it.

        Raises:
            ValueError: fewer than two normals, an image that is not (H, W, 3) uint8, or no anomalies for a
                detector that needs them.
            TooLarge: the fit would need more memory than is free; a ValueError that names settings that fit.
        """
        return_large_arrays()
        loop = Loop(progress, should_stop, self.config.time_budget_s, checkpoint)
        self._checkpoint = checkpoint
        notes = []
        if anomalies and not self.accepts_anomalies:
            notes.append(
                f"{len(anomalies)} anomalous images were ignored: {self.name} learns from normals only."
            )
        if self.supervision != "normal" and not anomalies:
            raise ValueError(
                f"{self.name} learns from {self.supervision}, but got no anomalous images. Give labelled "
                "anomalies, or choose a detector that learns from normals only."
            )
        check_enough(len(normals))
        self._settle(sizes_of(normals))
        train, held_out = split_normals(
            len(normals), self.config.val_fraction, self.config.seed, self._max_held_out()
        )
        if not held_out:
            notes.append("Too few normals to hold any out: thresholds and display range are biased low.")
        if (forecast := self.forecast(len(train))) is not None:
            check_fits(self.name, forecast)
        examples = [self._example(each) for each in anomalies] if self.accepts_anomalies else []
        self.n_normals_ = self._fit(self._stream(normals, train), len(train), examples, loop)
        if stopped := loop.stopped:  # what the calibration says later ends nothing
            notes.append(f"Stopped early, {loop.where()}.")
        answers = self._finish_fit(self._stream(normals, held_out))
        used = held_out or train
        if not held_out:
            answers = itertools.chain(answers, self.predict_prepared(self._stream(normals, train)))
        self.calibration_ = calibrate(self._counted(answers, len(used), loop), held_out=bool(held_out))
        notes += self._runner_notes()
        self.report_ = FitReport(
            self.n_normals_, len(used), time.monotonic() - loop.started, self.n_parameters(), stopped,
            tuple(notes),
        )  # fmt: skip
        return self

    def _runner_notes(self) -> tuple[str, ...]:
        """What the user should know of the backbone's runtime, such as one that disagrees with torch."""
        found: tuple[str, ...] = getattr(self._runner, "notes", ())
        return found

    _most_held_out: int = MAX_HELD_OUT  # images, or parts of images

    def _max_held_out(self) -> int:
        return self._most_held_out

    def _settle(self, sizes_hw: Sequence[tuple[int, int]]) -> None:
        """Choose the geometry for images of some sizes."""
        config = self.config
        image_hw = config.image_hw or choose_hw(sizes_hw, config.image_side)
        self.geometry_ = Geometry(image_hw, config.crop_hw, config.aspect)

    def _example(self, labeled: Labeled) -> Example:
        if labeled.mask is not None and labeled.mask.shape != labeled.image.shape[:2]:
            raise ValueError(
                f"Expected a mask of shape {labeled.image.shape[:2]} like its image, found "
                f"{labeled.mask.shape}."
            )
        mask = None if labeled.mask is None else self.geometry.prepare_mask(labeled.mask.astype(bool))
        return Example(self.prepare(labeled.image), labeled.label, mask)

    def _reduced(self, values: np.ndarray) -> float:
        """The image score of map or grid values, as config.score says."""
        return reduce(values, self.config.score, self.config.top_fraction)

    def _stream(self, images: Sequence[Image], indices: Sequence[int]) -> "Stream":
        return Stream(images, indices, self.prepare)

    def _counted(
        self, answers: Iterable[Prediction], n_images: int, loop: Loop
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        for done, prediction in enumerate(answers, start=1):
            yield prediction.score, prediction.map
            if done % self.config.batch_size == 0 or done == n_images:
                loop.step("calibrate", done, n_images)

    def predict(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Score images, in order; batches inside.

        Raises:
            ValueError: the detector is not fitted, or an image is not (H, W, 3) uint8.
        """
        return self.predict_prepared(map(self.prepare, images))

    @property
    def calibration(self) -> Calibration:
        """Thresholds and display range from held-out normals.

        Raises:
            ValueError: the detector is not fitted.
        """
        if self.calibration_ is None:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return self.calibration_

    @property
    def report(self) -> FitReport:
        """What the fit did.

        Raises:
            ValueError: nothing was fitted here; a loaded detector has no report.
        """
        if self.report_ is None:
            raise ValueError(f"This {self.name} was not fitted here. Call fit.")
        return self.report_

    def n_parameters(self) -> int:
        """How many numbers were fitted."""
        return sum(tensor.numel() for tensor in self._state().values())

    def save(self, folder: Path, **facts: Any) -> None:
        """Write a folder that appears whole or not at all, replacing an older one.

        Args:
            folder: gets config.json, calibration.json, state.pt (tensors only) and meta.json.
            facts: JSON values added to meta.json.

        Raises:
            OSError: the folder cannot be written, or the disk is full; an older one is unchanged.
        """
        calibration = self.calibration.to_json()
        config = {"detector": self.name, **dataclasses.asdict(self.config)}
        geometry = dataclasses.asdict(self.geometry)
        own = {"n_normals": self.n_normals_, "geometry": geometry, "versions": _versions()}
        meta = {**own, **self._meta(), **facts}
        with replacing(folder) as partial:
            for name, content in (("config", config), ("calibration", calibration), ("meta", meta)):
                write_json(partial / f"{name}.json", content)
            write_tensors(partial / "state.pt", self._state())
        if self._checkpoint is not None:
            shutil.rmtree(self._checkpoint, ignore_errors=True)

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "cpu",
        *,
        cache_folder: Path | None = None,
        runtime: str | None = None,
    ) -> Self:
        """Read what `save` wrote; predictions equal those before saving, bit for bit.

        Args:
            folder: made by save.
            device: "cpu", or a torch device.
            cache_folder: where exported networks are kept.
            runtime: None takes the one that it was fitted with, or "auto" where that cannot be used here.

        Raises:
            FileNotFoundError: the folder holds no saved detector.
            OtherWeights: it was fitted with other backbone weights than the ones found here.
        """
        return_large_arrays()
        read = {
            name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("config", "calibration", "meta")
        }
        if (found := read["config"].pop("detector")) != cls.name:
            raise ValueError(f"Expected a saved {cls.name}, found a {found} in {folder}.")
        changes = {"device": device}
        if runtime or "runtime" in read["meta"]:
            precision = read["config"]["precision"]
            changes["runtime"] = runtime or recorded_runtime(read["meta"]["runtime"], device, precision)
        detector = cls(cls.config_class(**read["config"] | changes), cache_folder=cache_folder)
        detector.calibration_ = Calibration.from_json(read["calibration"])
        detector.n_normals_ = read["meta"]["n_normals"]
        detector.geometry_ = Geometry(**read["meta"]["geometry"])
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        detector._set_state(state, read["meta"])
        return detector


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
