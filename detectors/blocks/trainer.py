"""The training loop of every detector that is trained: seeded step by step, stoppable, resumable."""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.config import Config
from detectors.loop import Loop
from detectors.saving import write_tensors
from detectors.threads import n_cores

SMOOTHING = 0.95  # of the loss that is reported
EVERY_S = 20.0  # between checkpoints
NOT_IN_KEY = ("time_budget_s", "profile", "n_threads")  # a resumed training may have others


class Diverged(ValueError):
    """The loss became infinite or NaN."""


@dataclass(frozen=True)
class Training:
    """What is trained, and how.

    Attributes:
        name: of the training, for messages and for the checkpoint's file.
        modules: trained (or changed) modules by name; their state goes into checkpoints.
        optimizer: over the trained parameters.
        step: loss of one step, a scalar with a graph. Gets the step's number, from 0, and a CPU generator
            seeded from the seed and that number: everything random in a step must come from it, so that a
            resumed training draws what an uninterrupted one would have.
        n_steps: how many.
        seed: of the generators.
        key: what the training depends on (settings, images): a checkpoint with another key is not used.
        scheduler: stepped after every step, if there is one.
        stage: under which progress is reported.
        n_threads: torch threads; 0 is one for each core.
    """

    name: str
    modules: Mapping[str, nn.Module]
    optimizer: torch.optim.Optimizer
    step: Callable[[int, torch.Generator], Tensor]
    n_steps: int
    seed: int
    key: str
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    stage: str = "train"
    n_threads: int = 0


def train(training: Training, loop: Loop) -> int:
    """Run the steps that are still to be done; returns how many have been done in all.

    Ends early when the loop asks for it, with what was learned so far. With loop.checkpoint, state is kept
    there every 20 s and at the end: a training that was killed goes on from it and ends with the same
    tensors as one that was not.

    Raises:
        Diverged: the loss is not finite; the message has the step and the learning rate.
    """
    done = _resume(training, loop.checkpoint)
    if done >= training.n_steps:
        loop.step(training.stage, done, training.n_steps)
        _all_in_eval_mode(training)
        return done
    smooth: float | None = None
    saved_at = time.monotonic()
    for module in training.modules.values():
        module.train()
    with torch_threads(training.n_threads):
        while done < training.n_steps:
            loss = _one_step(training, done)
            done += 1
            smooth = loss if smooth is None else SMOOTHING * smooth + (1 - SMOOTHING) * loss
            stop = loop.step(training.stage, done, training.n_steps, smooth)
            if loop.checkpoint and (
                stop or done == training.n_steps or time.monotonic() - saved_at > EVERY_S
            ):
                _keep(training, loop.checkpoint, done)
                saved_at = time.monotonic()
            if stop:
                break
    _all_in_eval_mode(training)
    return done


def _all_in_eval_mode(training: Training) -> None:
    for module in training.modules.values():
        module.eval()


def _one_step(training: Training, number: int) -> float:
    generator = torch.Generator().manual_seed(step_seed(training.seed, number))
    training.optimizer.zero_grad(set_to_none=True)
    loss = training.step(number, generator)
    value = float(loss.detach())
    if not math.isfinite(value):
        rate = training.optimizer.param_groups[0]["lr"]
        raise Diverged(
            f"The loss of {training.name} is {value} at step {number + 1} of {training.n_steps}, with "
            f"learning rate {rate:g}. Choose a smaller learning_rate, or look for images that are unlike the "
            "others."
        )
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    if training.scheduler:
        training.scheduler.step()
    return value


def training_key(
    config: Config, facts: object, arrays: Iterable[np.ndarray | None], without: tuple[str, ...] = ()
) -> str:
    """Tells a training from others, for Training.key.

    Args:
        config: settings of the detector.
        facts: what else counts, by its repr, such as the detector's version and the backbone's hash.
        arrays: what is learned from, in order; shape, type and values count, and where one is None.
        without: settings that the training does not depend on, beside NOT_IN_KEY.
    """
    left_out = {*NOT_IN_KEY, *without}
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in left_out}
    digest = hashlib.sha256(repr((sorted(settings.items()), facts)).encode())
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def step_seed(seed: int, number: int) -> int:
    """A seed for one step; neighbouring steps and seeds give unrelated ones."""
    mixed = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**64
    mixed ^= mixed >> 31
    return (mixed * 0x94D049BB133111EB) % 2**63


def _file(training: Training, folder: Path) -> Path:
    return folder / f"{training.name}.pt"


def _keep(training: Training, folder: Path, done: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = _file(training, folder)
    partial = path.with_name(f".{path.name}.partial")
    content: dict[str, Any] = {
        "key": training.key,
        "done": done,
        "modules": {name: module.state_dict() for name, module in training.modules.items()},
        "optimizer": training.optimizer.state_dict(),
        "scheduler": training.scheduler.state_dict() if training.scheduler else {},
    }
    write_tensors(partial, content)
    partial.replace(path)


def _resume(training: Training, folder: Path | None) -> int:
    """Load a checkpoint of the same training; returns its number of finished steps, 0 without one."""
    if folder is None or not _file(training, folder).is_file():
        return 0
    try:
        kept = torch.load(_file(training, folder), map_location="cpu", weights_only=True)
    except Exception:  # damaged, or of another version: the training begins anew
        return 0
    if kept.get("key") != training.key:
        return 0
    for name, module in training.modules.items():
        module.load_state_dict(kept["modules"][name])
    training.optimizer.load_state_dict(kept["optimizer"])
    if training.scheduler:
        training.scheduler.load_state_dict(kept["scheduler"])
    return int(kept["done"])


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch use some threads inside the block; 0 is one for each core."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or n_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
