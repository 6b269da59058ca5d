"""Runs FiftyOne's App server as a child that cannot outlive its parent, reachable from this machine only.

Like fiftyone/server/main.py, with three guards: the page is told to load nothing from elsewhere (it would ask
for fonts), requests that another page makes through the user's browser are refused, and no files are given
away but those of the datasets.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
OWN_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
MEDIA = "/media"
ELSEWHERE = "Open the page at its own address.\n"
STRANGE = "This file belongs to no dataset of the workspace.\n"
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob:; "
    "worker-src 'self' blob: data:; img-src 'self' data: blob:; object-src 'none'; frame-ancestors 'self'"
)
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


def guarded(inner: Application, home: Path) -> Application:
    """The application with its guards.

    Args:
        home: the workspace whose files may be given away.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_media = scope.get("path", "").rstrip("/").endswith(MEDIA)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"content-security-policy", POLICY.encode())]
                added += [(b"cache-control", b"no-cache")] * is_media  # a corrected mask keeps its name
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if scope["type"] in ("http", "websocket") and not from_here(scope["headers"]):
            await _refuse(scope, send, ELSEWHERE)
        elif is_media and not await _is_ours(scope, home):
            await _refuse(scope, send, STRANGE)
        else:
            await inner(scope, receive, send_with_policy)

    return application


async def _is_ours(scope: Scope, home: Path) -> bool:
    """Whether the file that a request asks for may be given away; FiftyOne answers when it names none."""
    from starlette.datastructures import QueryParams  # reads a query as FiftyOne's server does

    from curate.store.media import may_be_served

    path = QueryParams(scope["query_string"]).get("filepath")
    return not path or await asyncio.to_thread(may_be_served, path, home)


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason.strip()})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": reason.encode()})


def main(parent: int, address: str, port: int) -> None:
    """Serve until killed."""
    die_with(parent)
    os.environ["FIFTYONE_SERVER"] = "1"
    os.environ.pop("FIFTYONE_DISABLE_SERVICES", None)
    from fiftyone.server.app import app
    from fiftyone.server.events import set_port
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{address}:{port}"]
    config.use_reloader = False
    set_port(port)
    application: Any = guarded(app, Path(os.environ["CURATE_HOME"]))
    asyncio.run(serve(application, config))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
