"""Detectors made of other detectors that each see a part of the image, or the image at another size."""

import dataclasses
import functools
import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor

from detectors.base import Detector, Example, Prediction
from detectors.blocks.part_images import PartImages
from detectors.blocks.spool import Spool
from detectors.calibration import Calibration, calibrate
from detectors.config import Config
from detectors.geometry import Geometry, Image, Prepared, check_image
from detectors.loop import Loop, Progress
from detectors.memory import Forecast
from detectors.normals import MAX_HELD_OUT, Stream

MIN_HELD_OUT = 10  # images, however many parts each has


@dataclass(frozen=True)
class Parts(Prepared):
    """An image prepared several times over; `pixels` are those of the first part."""

    parts: tuple[Prepared, ...]


class Wrapper(Detector):
    """Several inner detectors, or one that sees all parts; made for an inner detector class with `around`.

    A subclass says what the parts of an image are (`_part`), and how answers for them become one (`_joined`).
    """

    prefix: ClassVar[str]
    options_class: ClassVar[type]
    inner_class: ClassVar[type[Detector]]

    def __init__(self, config: Config, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.inner_: list[Detector] = []
        self.facts_: dict[str, Any] = {}  # JSON values that the parts depend on
        self._train: Stream | None = None  # between _fit and _finish_fit

    @classmethod
    def around(cls, inner: str) -> type[Self]:
        """This wrapper for a detector, by name, with that detector's settings beside its own."""
        from detectors import detector_class

        return _wrapped(cls, detector_class(inner))  # type: ignore[return-value]

    # what a wrapper provides

    @abstractmethod
    def _n_parts(self) -> int:
        """Into how many parts an image is made; known once sizes are settled."""

    @abstractmethod
    def _part(self, image: Image, number: int) -> Image:
        """The picture that one part is prepared from."""

    @abstractmethod
    def _joined(self, answers: Sequence[Prediction], image_hw: tuple[int, int]) -> Prediction:
        """One answer from those for the parts."""

    def _inner_config(self, number: int) -> Config:
        """Settings of one inner detector."""
        names = [item.name for item in dataclasses.fields(self.inner_class.config_class)]
        return self.inner_class.config_class(**{name: getattr(self.config, name) for name in names})

    @property
    def runtime(self) -> str | None:
        """See Detector; that of the inner detectors."""
        return self.inner_[0].runtime if self.inner_ else None

    def _runner_notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(note for inner in self.inner_ for note in inner._runner_notes()))

    # preparing

    def prepare(self, image: Image) -> Parts:
        """See Detector."""
        check_image(image)
        parts = [self._prepare_part(image, number) for number in range(self._n_parts())]
        return Parts(parts[0].pixels, (image.shape[0], image.shape[1]), tuple(parts))

    def _prepare_part(self, image: Image, number: int) -> Prepared:
        if not self.inner_:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return self._inner_for(number).prepare(self._part(image, number))

    def _inner_for(self, number: int) -> Detector:
        return self.inner_[number if len(self.inner_) > 1 else 0]

    def _settle_inner(self, sizes_hw: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Make the inner detectors and choose their geometry; sizes for each of them."""
        self.inner_ = []
        for number, sizes in enumerate(sizes_hw):
            inner = self.inner_class(self._inner_config(number), cache_folder=self.cache_folder)
            inner._settle(sizes)
            self.inner_.append(inner)
        self.geometry_ = self.inner_[0].geometry_

    def _max_held_out(self) -> int:
        """Fewer where one inner detector has to hold the parts of all held-out images at once."""
        n_seen = self._n_parts() if len(self.inner_) == 1 else 1
        return max(MIN_HELD_OUT, MAX_HELD_OUT // n_seen)

    def forecast(self, n_images: int) -> Forecast | None:
        """See Detector."""
        n_parts = self._n_parts() // len(self.inner_)
        n_seen = n_images * n_parts
        for inner in self.inner_:
            inner._most_held_out = self._max_held_out() * n_parts
        found = [each for inner in self.inner_ if (each := inner.forecast(n_seen)) is not None]
        if not found:
            return None
        kept = sum(each.state_bytes for each in found)
        working = max(each.fit_bytes - each.state_bytes for each in found)
        return Forecast(kept + max(0, working), kept, found[0].grows_with, found[0].remedies)

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        stream = self._train = _as_stream(images)
        used = []
        for number, inner in enumerate(self.inner_):
            seen = list(range(self._n_parts())) if len(self.inner_) == 1 else [number]
            inner_loop = self._inner_loop(loop, number, len(seen))
            examples = self._inner_examples(anomalies, seen)
            parts = self._stream_of(stream, seen)
            inner.n_normals_ = inner._fit(parts, n_images * len(seen), examples, inner_loop)
            used.append(inner.n_normals_ // len(seen))
            loop.stopped = loop.stopped or inner_loop.stopped
        return min(used)

    def _stream_of(
        self, stream: Stream, parts: Sequence[int], sizes: dict[int, tuple[int, int]] | None = None
    ) -> Stream:
        images = PartImages(stream, parts, self._part, {} if sizes is None else sizes)
        return Stream(images, range(len(images)), self._inner_for(parts[0]).prepare)

    def _inner_loop(self, loop: Loop, number: int, n_seen: int) -> Loop:
        """Progress of an inner fit in terms of the whole."""
        n_inner = len(self.inner_)

        def tell(event: Progress) -> None:
            if loop.progress:
                per = n_seen if event.stage in ("fit", "calibrate") else 1
                step, total = event.step // per, event.total // per
                whole = Progress(
                    event.stage, number * total + step, n_inner * total, event.loss, event.elapsed_s
                )
                loop.progress(whole)

        checkpoint = loop.checkpoint / str(number) if loop.checkpoint else None
        inner = Loop(tell, loop.should_stop, loop.time_budget_s, checkpoint)
        inner.started = loop.started
        return inner

    def _inner_examples(self, anomalies: Sequence[Example], parts: Sequence[int]) -> list[Example]:
        return []

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        stream, n_parts = _as_stream(held_out), self._n_parts()
        train, self._train = self._train, None
        seen = [list(range(n_parts))] if len(self.inner_) == 1 else [[number] for number in range(n_parts)]
        sizes: dict[int, tuple[int, int]] = {}
        with Spool() as maps:
            scores: list[list[float]] = []
            for inner, parts in zip(self.inner_, seen, strict=True):
                scores.append([])
                answers = inner._finish_fit(self._stream_of(stream, parts, sizes))
                inner.calibration_ = calibrate(_kept(answers, scores[-1], maps), len(stream.indices) > 0)
                if not len(stream.indices) and train is not None:
                    again = inner.predict_prepared(self._stream_of(train, parts, sizes))
                    inner.calibration_ = calibrate(((each.score, each.map) for each in again), False)
            self.n_normals_ = min(inner.n_normals_ for inner in self.inner_) // len(seen[0])
            yield from self._read_back(scores, maps, [sizes[place] for place in range(len(stream.indices))])

    def _read_back(
        self, scores: Sequence[Sequence[float]], maps: Spool, sizes: Sequence[tuple[int, int]]
    ) -> Iterator[Prediction]:
        """Joined answers from those that were kept, inner detector by inner detector, image by image."""
        n_parts = self._n_parts()
        per_image, flat = n_parts // len(scores), [score for each in scores for score in each]
        for image, image_hw in enumerate(sizes):
            numbers = [
                inner * len(scores[0]) + image * per_image + part
                for inner in range(len(scores))
                for part in range(per_image)
            ]
            has_map = self.map_kind != "none"
            parts = [Prediction(flat[number], maps[number] if has_map else None) for number in numbers]
            yield self._joined(parts, image_hw)

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        if self.calibration_ is None and not self.n_normals_:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        n_parts, n_inner = self._n_parts(), len(self.inner_)
        items = iter(prepared)
        while batch := list(itertools.islice(items, max(1, self.config.batch_size * n_inner // n_parts))):
            parts = [part for item in batch for part in _parts_of(item)]
            answers: list[Prediction] = [Prediction(0.0, None)] * len(parts)
            for number, inner in enumerate(self.inner_):
                answers[number::n_inner] = inner.predict_prepared(parts[number::n_inner])
            for index, item in enumerate(batch):
                yield self._joined(answers[index * n_parts : (index + 1) * n_parts], item.image_hw)

    # saving

    def _state(self) -> dict[str, Tensor]:
        if not self.inner_:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return {
            f"{number}.{key}": tensor
            for number, inner in enumerate(self.inner_)
            for key, tensor in inner._state().items()
        }

    def _meta(self) -> dict[str, Any]:
        metas = []
        for inner in self.inner_:
            calibration = inner.calibration_.to_json() if inner.calibration_ else None
            geometry = dataclasses.asdict(inner.geometry)
            own = {"n_normals": inner.n_normals_, "geometry": geometry, "calibration": calibration}
            metas.append({**own, **inner._meta()})
        shared = ("backbone", "backbone_weights", "backbone_hash", "runtime")
        return {
            "facts": self.facts_,
            "inner": metas,
            **{key: metas[0][key] for key in shared if key in metas[0]},
        }

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.inner_, self.facts_ = [], meta["facts"]
        for number, own in enumerate(meta["inner"]):
            inner = self.inner_class(self._inner_config(number), cache_folder=self.cache_folder)
            inner.geometry_ = Geometry(**own["geometry"])
            inner.calibration_ = Calibration.from_json(own["calibration"]) if own["calibration"] else None
            inner.n_normals_ = own["n_normals"]
            prefix = f"{number}."
            part = {key.removeprefix(prefix): each for key, each in state.items() if key.startswith(prefix)}
            inner._set_state(part, own)
            self.inner_.append(inner)

    def n_parameters(self) -> int:
        """Of all inner detectors."""
        return sum(inner.n_parameters() for inner in self.inner_)


def _parts_of(item: Prepared) -> tuple[Prepared, ...]:
    if not isinstance(item, Parts):
        raise ValueError("A wrapper takes only what its own prepare made.")
    return item.parts


def _kept(
    answers: Iterable[Prediction], scores: list[float], maps: Spool
) -> Iterator[tuple[float, np.ndarray | None]]:
    """Scores and maps as they pass, kept."""
    for each in answers:
        scores.append(each.score)
        if each.map is not None:
            maps.append(each.map)
        yield each.score, each.map


def _as_stream(images: Iterable[Prepared]) -> Stream:
    if not isinstance(images, Stream):
        raise ValueError("A wrapper is fitted through fit only.")
    return images


@functools.cache
def _wrapped(wrapper: type[Wrapper], inner: type[Detector]) -> type[Wrapper]:
    config: type[Config] = dataclasses.dataclass(frozen=True)(
        type(
            f"{wrapper.__name__}{inner.config_class.__name__}",
            (wrapper.options_class, inner.config_class),
            {},
        )
    )
    facts = {
        "name": f"{wrapper.prefix}:{inner.name}", "inner_class": inner, "config_class": config,
        "map_kind": inner.map_kind, "supervision": inner.supervision, "scores_map": inner.scores_map,
        "accepts_anomalies": False, "__doc__": wrapper.__doc__, "__module__": wrapper.__module__,
    }  # fmt: skip
    return type(f"{wrapper.__name__}{inner.__name__}", (wrapper,), facts)
