"""Step: serves a dataset's triage page to other people, through the gateway, until it is stopped."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from curate.arrivals import moment
from curate.steps import sync, sync_queues
from curate.steps.record import Context

if TYPE_CHECKING:
    from curate.gateway.server import Place


def place_of(
    host: str, port: int, certificate: Path | None, key: Path | None, names: list[str], insecure: bool
) -> "Place":
    """Where to serve.

    Raises:
        ValueError: one of certificate and key is missing; or both are, though other machines can reach the
            address, and nobody said that this is wanted.
        CurateError: they are not a certificate and its key, or it has ended or does not hold yet.
    """
    from curate.gateway.server import Place, check_certificate

    if (certificate is None) != (key is None):
        raise ValueError("--cert and --key belong together: give both, or neither.")
    if certificate is not None and key is not None:
        check_certificate(certificate, key)
    elif not insecure and not _is_loopback(host):
        raise ValueError(
            f"without --cert and --key, tokens and images cross the network to {host} readable by everybody "
            "on the way. Make a certificate (docs/sharing.md shows how), or say --insecure where the network "
            "itself is encrypted, as in a VPN or behind a TLS proxy."
        )
    return Place(host, port, certificate, key, tuple(names))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def page(
    context: Context, place: "Place", n_people: int, since: str | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Bring the dataset up to date and open its page to the people who have a token.

    Args:
        n_people: who may be at work at the same time; each has a server of his own.
        since: see curate.steps.triage.page.

    Yields:
        The page's address, and a function that serves until Ctrl-C. Requests before that wait.

    Raises:
        CurateError: the address cannot be listened on.
        ValueError: `since` is neither a date nor a time.
    """
    from curate.gateway import server
    from curate.gateway.validity import ends_soon
    from curate.store.app import FIRST_VIEW
    from curate.store.revival import kept_up
    from curate.store.server import connect
    from curate.store.sharing import PersonsServers, shared

    if since is not None:
        moment(since)
    with closing(server.opened(place)) as listening, connect(context.workspace.home):
        sync.everything(context)
        sync_queues.say_what_lacks(context)
        view = FIRST_VIEW if since is None else sync_queues.since(context, since)
        about, opening = shared(context.paths.name, view)
        say_who_may(context)
        if place.certificate and (told := ends_soon(place.certificate, datetime.now(UTC))):
            context.say(told)
        servers = PersonsServers(context.paths.name)

        def wait() -> None:
            server.serve(
                place, listening, about, opening, context.paths.root, servers.start, context.say, n_people
            )

        with kept_up(context.workspace.home, context.paths.name, context.say):
            yield server.address_of(place, listening.getsockname()[1], about.page), wait


def say_who_may(context: Context) -> None:
    """Tell who has a token that holds."""
    from curate.gateway.tokens import FILE, listed

    rows = listed(context.paths.root / FILE, datetime.now(UTC))
    holding = [f"{row['person']} ({row['role']})" for row in rows if row["state"] == "holds"]
    name = context.paths.name
    told = ", ".join(holding) if holding else f"nobody yet: curate access add {name} PERSON"
    context.say(f"Tokens that hold: {told}")
