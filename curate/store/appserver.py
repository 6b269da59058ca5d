"""Runs FiftyOne's App server as a child that cannot outlive its parent, reachable from this machine only.

Like fiftyone/server/main.py, with three guards: the page is told to load nothing from elsewhere (it would ask
for fonts), requests that another page makes through the user's browser are refused, and no files are given
away but those of the datasets. Started for the gateway, it answers to nobody else and sees one dataset only.
"""

import asyncio
import ctypes
import hmac
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from curate.gateway.headers import POLICY

PR_SET_PDEATHSIG = 1
OWN_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
MEDIA = "/media"
SCRIPTS = "/plugins/"
# a mask of the source keeps its name when it is corrected, so not for long; but what a page fetched
# ahead must be there when it is shown
MEDIA_LIFE = b"private, max-age=20"
ELSEWHERE = "Open the page at its own address.\n"
STRANGE = "This file belongs to no dataset of the workspace.\n"
BESIDE = "This server answers to the gateway only.\n"
SECRET_HEADER = "x-curate-gateway"
SECRET, ONLY = "CURATE_GATEWAY_SECRET", "CURATE_ONLY_DATASET"  # environment of a server for the gateway
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends, even by kill -9."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("The parent ended before the App server began.")


def from_here(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request is addressed to this machine, and was not made by a page of another server.

    >>> from_here([(b"host", b"localhost:5151"), (b"origin", b"http://127.0.0.1:5151")])
    True
    >>> from_here([(b"host", b"127.0.0.1:5151"), (b"origin", b"http://127.0.0.1:8888")])
    False
    """
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"] or ["127.0.0.1"]
    origins = {value.decode("latin-1") for name, value in headers if name == b"origin"}
    _, colon, port = hosts[0].removeprefix("[::1]").rpartition(":")
    own = {host + colon + port * bool(colon) for host in OWN_HOSTS}
    return set(hosts) <= own and origins <= {f"http://{host}" for host in own}


def guarded(
    inner: Application, home: Path, only: str | None = None, secret: str | None = None
) -> Application:
    """The application with its guards.

    Args:
        home: the workspace whose files may be given away.
        only: the one dataset whose files may be given away; None = all.
        secret: what every request must bring along; None = nothing.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_media = path.rstrip("/").endswith(MEDIA)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"content-security-policy", POLICY.encode())]
                added += [(b"cache-control", MEDIA_LIFE)] * is_media
                added += [(b"cache-control", b"no-cache")] * path.startswith(
                    SCRIPTS
                )  # a newer version counts at once
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if scope["type"] in ("http", "websocket") and not from_here(scope["headers"]):
            await _refuse(scope, send, ELSEWHERE)
        elif secret is not None and not _knows(scope, secret):
            await _refuse(scope, send, BESIDE)
        elif is_media and not await _is_ours(scope, home, only):
            await _refuse(scope, send, STRANGE)
        else:
            await inner(scope, receive, send_with_policy)

    return application


def _knows(scope: Scope, secret: str) -> bool:
    """Whether a request comes from the gateway, and not from another user of this machine."""
    if scope["type"] not in ("http", "websocket"):  # the server's own beginning and end
        return True
    told = [value for name, value in scope["headers"] if name == SECRET_HEADER.encode()]
    return len(told) == 1 and hmac.compare_digest(told[0], secret.encode())


async def _is_ours(scope: Scope, home: Path, only: str | None) -> bool:
    """Whether the file that a request asks for may be given away; FiftyOne answers when it names none."""
    from starlette.datastructures import QueryParams  # reads a query as FiftyOne's server does

    from curate.store.media import may_be_served

    path = QueryParams(scope["query_string"]).get("filepath")
    return not path or await asyncio.to_thread(may_be_served, path, home, only)


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason.strip()})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})


def main(parent: int, listening: int) -> None:
    """Serve until killed.

    Args:
        parent: id of the process that started this one, which ends with it.
        listening: file descriptor of the socket to answer at.
    """
    die_with(parent)
    os.environ["FIFTYONE_SERVER"] = "1"
    os.environ.pop("FIFTYONE_DISABLE_SERVICES", None)
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from curate.store.well_formed import well_formed

    config = Config()
    config.bind = [f"fd://{listening}"]
    config.use_reloader = False
    with socket.socket(fileno=os.dup(listening)) as held:
        set_port(held.getsockname()[1])
    only, secret = os.environ.get(ONLY), os.environ.pop(SECRET, None)  # plugins need not know it
    if only is not None:
        from curate.store.enclosure import enclose

        enclose(only)
    application: Any = guarded(well_formed(app), Path(os.environ["CURATE_HOME"]), only, secret)
    asyncio.run(serve(application, config))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
