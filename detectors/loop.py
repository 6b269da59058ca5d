"""Progress of a fit, when to end it early, and where it keeps what it needs to go on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """A sign of life while fitting: finished steps of a stage.

    Attributes:
        stage: "fit" and "calibrate" count images, "train" counts optimiser steps; a detector may have more.
        step, total: of the stage.
        loss: smoothed; None where there is none.
        elapsed_s: since the fit began.
    """

    stage: str
    step: int
    total: int
    loss: float | None
    elapsed_s: float


class Loop:
    """Reports progress and says when to stop; polled once per step.

    Attributes:
        checkpoint: folder in which a long training keeps its state; None keeps none.
        stopped: the fit was asked to end early.
    """

    def __init__(
        self,
        progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        time_budget_s: float | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.progress, self.should_stop, self.time_budget_s = progress, should_stop, time_budget_s
        self.checkpoint = checkpoint
        self.started = time.monotonic()
        self.stopped = False
        self._why, self._last = "as asked", ("", 0, 0)

    def step(self, stage: str, step: int, total: int, loss: float | None = None) -> bool:
        """Report a finished step; True asks to stop."""
        elapsed_s = time.monotonic() - self.started
        if self.progress:
            self.progress(Progress(stage, step, total, loss, elapsed_s))
        late = self.time_budget_s is not None and elapsed_s > self.time_budget_s
        if not self.stopped:
            self.stopped = late or bool(self.should_stop and self.should_stop())
            self._why = f"after its time_budget_s of {self.time_budget_s:g} s" if late else "as asked"
            self._last = (stage, step, total)
        return self.stopped

    def where(self) -> str:
        """Why it ended early, and where, for people.

        >>> loop = Loop(time_budget_s=0)
        >>> loop.step("train", 3, 10), loop.where()
        (True, 'after its time_budget_s of 0 s, at train 3 of 10')
        """
        stage, step, total = self._last
        return f"{self._why}, at {stage} {step} of {total}"
