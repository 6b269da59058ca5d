"""Step: serves a dataset's triage page until it is stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from curate.steps import sync
from curate.steps.record import Context


@contextmanager
def page(context: Context, port: int = 0) -> Iterator[tuple[str, Callable[[], None]]]:
    """Bring the dataset up to date and serve its page while the block runs.

    Args:
        port: 0 takes a free one; otherwise exactly this.

    Yields:
        The page's address, and a function that waits until Ctrl-C.

    Raises:
        CurateError: the port is taken, or the server does not start.
    """
    from curate.store.app import free_port, serve
    from curate.store.server import connect

    free_port(port)
    with connect(context.workspace.home):
        sync.everything(context)
        with serve(context.paths.name, port) as app:
            yield app.url, app.wait
