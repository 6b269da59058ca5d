"""Progress bars with rate and time left, on stderr, for everything that takes a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def bar(title: str, n_total: int | None, unit: str = "images") -> Iterator[Advance]:
    """Show progress while the block runs; yields a function to call with the number of finished items.

    Without a terminal, one line is written when the work ends.
    """
    if n_total == 0:
        yield lambda n: None
        return
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

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Rate(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("spent"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        task_id = progress.add_task(title, total=n_total)
        yield lambda n: progress.update(task_id, advance=n)
