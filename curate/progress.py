"""Progress bars with rate and time left, on stderr, for everything that takes a while."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Advance = Callable[[int], None]
UNITS = {"fit": "images", "calibrate": "images"}  # stages of a fit; all others count steps


@dataclass(frozen=True)
class Stage:
    """A sign of life of a fit, which has several stages.

    Attributes:
        title: what is being fitted.
        stage: "fit" and "calibrate" count images, "train" and others steps.
        step, total: finished ones, and how many there are.
        loss: of a training; None where there is none.
    """

    title: str
    stage: str
    step: int
    total: int
    loss: float | None = None


TellStage = Callable[[Stage], None]


@contextmanager
def bar(title: str, n_total: int | None, unit: str = "images") -> Iterator[Advance]:
    """Show progress while the block runs; yields a function to call with the number of finished items.

    Without a terminal, one line is written when the work ends.
    """
    if n_total == 0:
        yield lambda n: None
        return
    with _progress(unit) as progress:
        task_id = progress.add_task(title, total=n_total, note="")
        yield lambda n: progress.update(task_id, advance=n)


@contextmanager
def stages() -> Iterator[TellStage]:
    """Show a bar for each stage of one fit after another, with the loss where there is one.

    Without a terminal, one line is written when a stage ends.
    """
    with ExitStack() as shown:
        key: tuple[str, str] | None = None
        progress: Any = None
        task_id: Any = None

        def tell(event: Stage) -> None:
            nonlocal key, progress, task_id
            if key != (event.title, event.stage):
                shown.close()
                key = event.title, event.stage
                progress = shown.enter_context(_progress(UNITS.get(event.stage, "steps"), brief=True))
                task_id = progress.add_task(f"{event.title} {event.stage}", total=event.total, note="")
            note = "" if event.loss is None else f"loss {event.loss:.4g}"
            progress.update(task_id, completed=event.step, total=event.total, note=note)

        yield tell


def _progress(unit: str, brief: bool = False) -> Any:
    """Bars that count some unit; brief ones leave room in 80 columns for a long title and a loss."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.{int(speed < 100)}f} {unit}/s" if speed else f"- {unit}/s", no_wrap=True)

    spent = () if brief else (TextColumn("spent"), TimeElapsedColumn())
    columns = (
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(bar_width=8 if brief else 30),
        MofNCompleteColumn(),
        Rate(),
        TextColumn("left"),
        TimeRemainingColumn(),
        *spent,
        TextColumn("{task.fields[note]}", markup=False),
    )
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
