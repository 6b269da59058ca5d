"""Step: serves a dataset's triage page until it is stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from curate.arrivals import moment
from curate.steps import sync, sync_queues
from curate.steps.record import Context


@contextmanager
def page(
    context: Context, port: int = 0, since: str | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Bring the dataset up to date and serve its page while the block runs.

    Args:
        port: 0 takes a free one; otherwise exactly this.
        since: begin with the undecided images that came at this date or time or later, see curate.arrivals.

    Yields:
        The page's address, and a function that waits until Ctrl-C.

    Raises:
        CurateError: the port is taken, or the server does not start.
        ValueError: `since` is neither a date nor a time.
    """
    from curate.store.app import FIRST_VIEW, need_port, serve
    from curate.store.revival import kept_up
    from curate.store.server import connect

    if since is not None:
        moment(since)
    need_port(port)
    with connect(context.workspace.home):
        sync.everything(context)
        sync_queues.say_what_lacks(context)
        view = FIRST_VIEW if since is None else sync_queues.since(context, since)
        name = context.paths.name
        with serve(name, port, view) as app, kept_up(context.workspace.home, name, context.say):
            yield app.url, app.wait
