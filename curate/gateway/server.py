"""Opens the gateway's port, with TLS or without, and serves until it is told to stop."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from curate.errors import CurateError
from curate.faults import plain
from curate.gateway.accesslog import AccessLog
from curate.gateway.application import Gateway
from curate.gateway.errorlog import ErrorLog
from curate.gateway.origin import own_names
from curate.gateway.outer import HEADER_BYTES, Outer
from curate.gateway.people import N_PEOPLE, People, Running
from curate.gateway.rules import Shared
from curate.gateway.tokens import FILE, Access
from curate.gateway.validity import need_valid

IDLE_S = 15.0  # also for a request whose headers never end
HANDSHAKE_S = 10.0
BACKLOG = 100


@dataclass(frozen=True)
class Place:
    """Where the gateway is reached.

    Attributes:
        certificate, key: PEM files; None = without TLS.
        names: by which people address it, besides its own.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()

    @property
    def tls(self) -> bool:
        """Whether what is sent is hidden from others."""
        return self.certificate is not None


def opened(place: Place) -> socket.socket:
    """The listening socket.

    Raises:
        CurateError: the address is not one of this machine, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # a name that is too long to be one
        raise _unusable(place, error) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _unusable(place, error) from error
    return listening


def _unusable(place: Place, error: OSError | UnicodeError) -> CurateError:
    return CurateError(
        f"CurateError: {plain(place.host, 80)} port {place.port} cannot be listened on ({_reason(error)}). "
        "Give --host an address of this machine (0.0.0.0 = all), and --port a free port."
    )


def check_certificate(certificate: Path, key: Path) -> None:
    """Raise unless the two files are a certificate that holds now, and its key.

    Raises:
        CurateError: one cannot be read, they do not belong together, the key needs a password, or the
            certificate has ended or does not hold yet.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise CurateError(
            f"CurateError: {certificate} and {key} are not a certificate and its key in PEM form, "
            f"without a password ({_reason(error)}). See docs/sharing.md."
        ) from error
    need_valid(certificate, datetime.now(UTC))


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _no_password() -> str:
    raise ValueError("the key needs a password")


def address_of(place: Place, port: int, path: str) -> str:
    """What people type.

    >>> address_of(Place("10.0.0.7", 0, Path("c"), Path("k")), 5151, "/datasets/tiles")
    'https://10.0.0.7:5151/datasets/tiles'
    """
    host = place.host
    if host in ("0.0.0.0", "::", ""):
        host = place.names[0] if place.names else socket.gethostname()
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if place.tls else 'http'}://{named}:{port}{path}"


def serve(
    place: Place,
    listening: socket.socket,
    shared: Shared,
    opening: str,
    folder: Path,
    start: Callable[[str], Running],
    say: Callable[[str], None],
    n_people: int = N_PEOPLE,
) -> None:
    """Serve until SIGINT or SIGTERM; call from the main thread.

    Args:
        opening: the query with which the page is opened first.
        folder: of the dataset; holds access.json, and access.log and errors.log are written there.
        start: starts the App server of a person.
    """
    port: int = listening.getsockname()[1]
    access = Access(folder / FILE)
    people = People(start, shared.page, say, lambda person: access.again(person.key) == person, n_people)
    gateway = Gateway(shared, opening, access, people, place.tls, port, ErrorLog(folder, say))
    names = own_names((*place.names, place.host))
    application = Outer(gateway.application(), names, place.tls, port, AccessLog(folder / "access.log"), say)
    asyncio.run(_served(application, _config(place, listening)))


async def _served(application: Outer, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.set_exception_handler(_noted)
    passing: Any = application
    await hypercorn_serve(passing, config, shutdown_trigger=stop.wait, mode="asgi")


def _noted(loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """Pass over connections that broke or were never TLS: strangers could fill the terminal with them."""
    error = about.get("exception")
    if isinstance(error, BaseExceptionGroup):
        error = error.split(OSError)[1]
    if error is not None and not isinstance(error, OSError):
        loop.default_exception_handler(about)


def _config(place: Place, listening: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{os.dup(listening.fileno())}"]  # it closes what it is given
    config.alpn_protocols = ["http/1.1"]  # one protocol less to be attacked
    config.h2_max_concurrent_streams = 0  # it changes to HTTP/2 for whoever begins so all the same
    if place.certificate and place.key:
        config.certfile, config.keyfile = str(place.certificate), str(place.key)
    config.h11_max_incomplete_size = HEADER_BYTES
    config.keep_alive_timeout = IDLE_S
    config.ssl_handshake_timeout = HANDSHAKE_S
    config.graceful_timeout = 1.0  # the pages' event streams never end by themselves
    config.include_server_header = False
    config.errorlog = None
    return config
