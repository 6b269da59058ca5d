"""Any model of anomalib 2.x, fitted by its Engine and run through its own torch class: "anomalib:Stfpm".

Raw scores and maps are kept: anomalib's post-processing (min-max normalisation, thresholds from test images)
never runs. Needs the extra "anomalib". Models with an exchangeable convolutional backbone get
EfficientNet-Lite0 with its packaged weights, so that they work without a network; backbone "none" (and
weights "none") leaves anomalib's own choice, whose weights anomalib downloads when they are not there yet.

Source: Akcay et al., "Anomalib: A Deep Learning Library for Anomaly Detection", ICIP 2022, arXiv:2202.08341
"""

import functools
import importlib.util
import inspect
import logging
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones.nets import BACKBONES
from detectors.backbones.weights import NONE, OtherWeights, load_into, tag
from detectors.backbones.weights import file_hash as hash_of_file
from detectors.base import Detector, Example, Prediction
from detectors.blocks.trainer import torch_threads
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.loop import Loop

LITE0 = "efficientnet_lite0"
TIMM_LITE0 = "tf_efficientnet_lite0"
N_FEATURES = 100  # channels that anomalib's PaDiM keeps where it has no number of its own
WITHOUT_MAPS = ("Dfkde", "Ganomaly")


@dataclass(frozen=True)
class AnomalibConfig(Config):
    """Settings of anomalib's models.

    Attributes:
        init: arguments of the model's class; they win over what is chosen here.
        max_epochs: None leaves it to the model.
        max_steps: optimiser steps at most; None for no limit.
    """

    init: Mapping[str, Any] = field(default_factory=dict)
    max_epochs: int | None = None
    max_steps: int | None = 300
    batch_size: int = 8
    aspect: Any = "stretch"

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"backbone": NONE, "weights": NONE, "image_hw": (256, 256), "max_steps": None},
        "cpu": {"image_hw": (256, 256)},
        "smoke": {"image_hw": (64, 64), "max_steps": 4},
    }


class AnomalibModel(Detector):
    """See the module. Image score: the model's own."""

    model_name: ClassVar[str]
    scores_map: ClassVar[bool] = False
    config_class: ClassVar[type[Config]] = AnomalibConfig
    config: AnomalibConfig

    @classmethod
    def around(cls, rest: str) -> type[Self]:
        """The detector for one model class of anomalib, by the class's name.

        Raises:
            ValueError: there is no such name in the form of a class name.
        """
        if not rest.isidentifier():
            raise ValueError(f'Expected the name of an anomalib model after "anomalib:", found "{rest}".')
        return _class_for(cls, rest)  # type: ignore[return-value]

    def __init__(self, config: Config, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.module_: Any = None  # anomalib's Lightning module

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        normals = list(images)
        seed = self.config.seed
        with quiet(), torch.random.fork_rng(devices=[]), torch_threads(self.config.n_threads):
            torch.manual_seed(seed)
            np_state = np.random.get_state()
            np.random.seed(seed % 2**32)
            try:
                self.module_ = self._new_module(for_loading=False)
                self._run_engine(normals, loop)
            finally:
                np.random.set_state(np_state)
        self.module_.eval()
        return len(normals)

    def _run_engine(self, normals: Sequence[Prepared], loop: Loop) -> None:
        from anomalib.data import ImageBatch
        from anomalib.engine import Engine

        items = _Items(normals)
        order = torch.Generator().manual_seed(self.config.seed)
        loader = torch.utils.data.DataLoader(
            items, batch_size=min(self.config.batch_size, len(normals)), shuffle=True, generator=order,
            collate_fn=ImageBatch.collate, drop_last=False,
        )  # fmt: skip
        limits = {"max_steps": self.config.max_steps} if self.config.max_steps else {}
        limits |= {"max_epochs": self.config.max_epochs} if self.config.max_epochs else {}
        with tempfile.TemporaryDirectory() as folder:
            engine = Engine(
                callbacks=[_callback(loop, self.config.max_steps)], default_root_dir=folder, logger=False,
                accelerator="cpu" if self.config.device == "cpu" else "auto", devices=1,
                enable_progress_bar=False, enable_model_summary=False, **limits,
            )  # fmt: skip
            try:
                engine.fit(self.module_, train_dataloaders=loader)
            except (OSError, RuntimeError, TypeError, AttributeError, KeyError, IndexError) as error:
                raise ValueError(
                    f"anomalib's {self.model_name} could not be fitted: {type(error).__name__}: {error}. "
                    "Look at what it needs (init, image_hw, batch_size), or choose another model."
                ) from error

    def _new_module(self, for_loading: bool) -> Any:
        """anomalib's Lightning module with our settings and weights, without post-processing."""
        if importlib.util.find_spec("anomalib") is None:
            raise ValueError('anomalib is not installed. Run: pip install "fpc-curate[anomalib]"')
        import anomalib.models

        kind = getattr(anomalib.models, self.model_name, None)
        if kind is None:
            names = ", ".join(model_names())
            raise ValueError(f'anomalib has no model "{self.model_name}". Known: {names}.')
        known = inspect.signature(kind.__init__).parameters
        chosen = self._substitutes(known)
        arguments = {**chosen, **self.config.init, "pre_processor": self._pre_processor(kind, bool(chosen))}
        arguments |= {name: False for name in ("post_processor", "evaluator", "visualizer") if name in known}
        try:
            with without_timm_weights() if chosen or for_loading else nullcontext():
                module = kind(**arguments)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"anomalib's {self.model_name} could not be made with {chosen | dict(self.config.init)}: "
                f"{error}. Give other arguments with init; without a network, weights of its own must lie in "
                "the cache already."
            ) from error
        if chosen and not for_loading:
            _give_lite0(module.model)
        return module

    def _substitutes(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments that put EfficientNet-Lite0 in place of the model's backbone, if asked for."""
        if self.config.backbone == NONE:
            return {}
        layers = lite0_layers(known)
        if "backbone" not in known or "net" not in str(known["backbone"].default):
            raise ValueError(
                f"anomalib's {self.model_name} has no backbone that can be exchanged for {LITE0}. Set "
                f'backbone and weights to "{NONE}" to leave its own; anomalib downloads what it lacks.'
            )
        if "n_features" in known and known["n_features"].default is None:
            layers["n_features"] = N_FEATURES
        return {"backbone": TIMM_LITE0, **layers}

    def _pre_processor(self, kind: Any, substitute: bool) -> Any:
        from anomalib.pre_processing import PreProcessor
        from torchvision.transforms.v2 import Compose, Normalize, Resize

        if not substitute:
            return kind.configure_pre_processor(self.geometry.input_hw)
        resize = Resize(
            self.geometry.input_hw, antialias=True
        )  # changes nothing; some models read their size here
        return PreProcessor(Compose([resize, Normalize(BACKBONES[LITE0].mean, BACKBONES[LITE0].std)]))

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        if self.module_ is None:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        device = torch.device(self.config.device)
        self.module_.to(device)
        for item in prepared:
            with torch_threads(self.config.n_threads), torch.inference_mode(), quiet():
                pixels = self.module_.pre_processor.transform(_tensor(item)[None].to(device))
                answer = self._answer(pixels)
            yield self._prediction(answer, item.image_hw)

    def _answer(self, pixels: Tensor) -> Any:
        try:
            return self.module_.model(pixels)
        except (RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(
                f"anomalib's {self.model_name} could not score an image: {type(error).__name__}: {error}. "
                "Some models are left empty by a fit on too few images; fit on more, or choose another model."
            ) from error

    def _prediction(self, answer: Any, image_hw: tuple[int, int]) -> Prediction:
        anomaly_map = None
        if self.map_kind != "none":
            values = answer.anomaly_map.float().cpu().numpy().reshape(answer.anomaly_map.shape[-2:])
            anomaly_map = self.geometry.to_image(values, image_hw, 0.0)
        if answer.pred_score is not None:
            return Prediction(float(answer.pred_score.reshape(-1)[0]), anomaly_map)
        if anomaly_map is None:
            raise ValueError(f"anomalib's {self.model_name} gave neither a score nor a map.")
        return Prediction(self._reduced(anomaly_map), anomaly_map)

    # saving

    def _state(self) -> dict[str, Tensor]:
        if self.module_ is None:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return {key: value.cpu() for key, value in self.module_.model.state_dict().items()}

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        if meta["backbone_hash"] != self._meta()["backbone_hash"]:
            raise OtherWeights(f"Expected {meta['backbone_weights']} weights, found others. Fit it again.")
        with quiet():
            self.module_ = self._new_module(for_loading=True)
        load_resized(self.module_.model, state)
        self.module_.eval()

    def _meta(self) -> dict[str, Any]:
        from importlib.metadata import version

        own = self.config.backbone == NONE
        return {
            "backbone": None if own else self.config.backbone,
            "backbone_weights": "anomalib's own" if own else tag(self.config.backbone, self.config.weights),
            "backbone_hash": None if own else hash_of_file(self.config.backbone, self.config.weights),
            "runtime": "torch",
            "anomalib": version("anomalib"),
        }

    def n_parameters(self) -> int:
        """Numbers in the model, its backbone included."""
        return 0 if self.module_ is None else sum(each.numel() for each in self._state().values())


@functools.cache
def _class_for(base: type[AnomalibModel], model_name: str) -> type[AnomalibModel]:
    map_kind = "none" if model_name in WITHOUT_MAPS else "native"
    facts = {
        "name": f"anomalib:{model_name}", "model_name": model_name, "map_kind": map_kind,
        "__module__": base.__module__, "__doc__": f"anomalib's {model_name}; see the module.",
    }  # fmt: skip
    return type(f"Anomalib{model_name}", (base,), facts)


def model_names() -> list[str]:
    """Names of anomalib's image models."""
    import anomalib.models
    from anomalib.models.components.base import AnomalibModule

    with quiet():
        found = [
            name
            for name in dir(anomalib.models)
            if inspect.isclass(each := getattr(anomalib.models, name))
            and issubclass(each, AnomalibModule)
            and each is not AnomalibModule
        ]
    return sorted(found)


def lite0_layers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that tap EfficientNet-Lite0 where the model would have tapped its own backbone."""
    layers = BACKBONES[LITE0].layers
    if "layer" in parameters:
        return {"layer": layers[-1]}
    if "layers" in parameters and parameters["layers"].default is not None:
        return {"layers": list(layers[-len(parameters["layers"].default) :])}
    return {}


def _give_lite0(model: nn.Module) -> None:
    """Put the packaged weights into every part of a model that has EfficientNet-Lite0's names."""
    whole = BACKBONES[LITE0].build()
    load_into(whole, LITE0, "packaged")
    state, found = whole.state_dict(), False
    for part in model.modules():
        own = part.state_dict()
        if "conv_stem.weight" in own and set(own) <= set(state):
            part.load_state_dict({key: state[key] for key in own})
            found = True
    if not found:
        raise ValueError(f"{type(model).__name__} has no part that takes the weights of {LITE0}.")


def load_resized(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """load_state_dict for models whose buffers get their size, or come to be, in the fit."""
    for key, value in state.items():
        path, _, name = key.rpartition(".")
        owner = model.get_submodule(path)
        if name in owner._parameters:
            continue
        owner._buffers[name] = value.clone()
    model.load_state_dict(dict(state))


class _Items(torch.utils.data.Dataset[Any]):
    """Prepared images as anomalib's items."""

    def __init__(self, normals: Sequence[Prepared]) -> None:
        self.normals = normals

    def __len__(self) -> int:
        return len(self.normals)

    def __getitem__(self, index: int) -> Any:
        from anomalib.data import ImageItem

        return ImageItem(image=_tensor(self.normals[index]), gt_label=torch.tensor(0))


def _tensor(item: Prepared) -> Tensor:
    """(3, h, w) float32 in [0, 1]."""
    return torch.from_numpy(item.pixels).permute(2, 0, 1).float() / 255


def _callback(loop: Loop, max_steps: int | None) -> Any:
    """Tells the loop of every step, and ends the training when it says so."""
    from lightning.pytorch import Callback

    class Tell(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            per_epoch = trainer.num_training_batches
            epochs = trainer.max_epochs or 1
            total = per_epoch * epochs if epochs > 0 else max_steps or per_epoch
            step = trainer.fit_loop.total_batch_idx + 1
            if loop.step("train", min(step, total), total if max_steps is None else min(total, max_steps)):
                trainer.should_stop = True

    return Tell()


@contextmanager
def without_timm_weights() -> Iterator[None]:
    """Let timm build its networks untrained inside the block: their weights come from elsewhere."""
    import timm

    create = timm.create_model

    def untrained(*args: Any, **options: Any) -> Any:
        return create(*args, **{**options, "pretrained": False})

    timm.create_model = untrained
    try:
        yield
    finally:
        timm.create_model = create


@contextmanager
def quiet() -> Iterator[None]:
    """Without messages, bars and warnings of anomalib and Lightning, and without a call to any server."""
    import tqdm

    before, init = logging.root.manager.disable, tqdm.tqdm.__init__
    logging.disable(logging.WARNING)  # Lightning sets the levels of its loggers when it is imported
    tqdm.tqdm.__init__ = functools.partialmethod(init, disable=True)
    os.environ.setdefault("DISABLE_VERSION_CHECK", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        tqdm.tqdm.__init__ = init
