"""What holds for every request, before anybody is asked for a token: address, origin, limits, the log."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curate.gateway import headers, origin
from curate.gateway.accesslog import AccessLog
from curate.gateway.limits import AtATime, client

TOLD = "curate"  # key in the scope: what the log is told by those who know it
SEND_LIMIT_S = 60.0
HEADER_BYTES = 16 << 10
VERSIONS = ("1.0", "1.1")
OTHER_NAME = "This server does not have that name. Whoever started it can add it with --name.\n"
OTHER_ORIGIN = "This request was made by a page of another server.\n"
TOO_MANY = "Too many requests at a time.\n"
ONCE = ("host", "origin", "authorization", "content-length", "content-type", "transfer-encoding")


class Outer:
    """The application with what holds for every request."""

    def __init__(
        self,
        inner: ASGIApp,
        names: frozenset[str],
        tls: bool,
        port: int,
        log: AccessLog,
        say: Callable[[str], None],
    ) -> None:
        self._inner, self._names, self._tls, self._port = inner, names, tls, port
        self._log, self._say = log, say
        self._at_a_time = AtATime()
        self._log_is_broken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        told: dict[str, Any] = {"person": "", "what": "", "status": 0, "n_bytes": 0}
        scope[TOLD] = told
        address = (scope.get("client") or ("",))[0]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                message = {**message, "headers": self._with_added(message.get("headers", []))}
            else:
                told["n_bytes"] += len(message.get("body", b""))
            async with asyncio.timeout(SEND_LIMIT_S):  # nobody keeps us by not reading
                await send(message)

        try:
            with self._at_a_time.one_more(client(address)) as may:
                refusal = self._refusal(scope) if may else (429, TOO_MANY)
                if refusal is None:
                    await self._inner(scope, receive, counted)
                else:
                    told["what"] = refusal[1].strip()
                    await PlainTextResponse(refusal[1], refusal[0])(scope, receive, counted)
        except TimeoutError:
            told["what"] = "given up: the answer was not read"
        finally:
            self._note(scope, address, told)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        found = Headers(scope=scope)
        if scope["http_version"] not in VERSIONS:
            return 505, "Only HTTP/1.1 is spoken here.\n"
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            return 431, "The headers are too long.\n"
        if any(len(found.getlist(name)) > 1 for name in ONCE) or "host" not in found:
            return 400, "A header that may stand once is there twice, or lacks.\n"
        if not origin.is_ours(found["host"], self._names):
            return 421, OTHER_NAME
        if not origin.is_same(scope["method"], dict(found.items()), "https" if self._tls else "http"):
            return 403, OTHER_ORIGIN
        return None

    def _with_added(self, own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of an answer; what it says itself comes first."""
        there = {name.lower() for name, _ in own}
        common = headers.added(headers.POLICY, self._tls, self._port)
        return [*own, *((name, value) for name, value in common if name not in there)]

    def _note(self, scope: Scope, address: str, told: dict[str, Any]) -> None:
        row = {"address": address, "method": scope["method"], "path": scope["path"].partition("?")[0]}
        try:
            self._log.write(**{"person": told["person"], **row, **told})
            self._log_is_broken = False
        except OSError as error:  # decisions are worth more than their log
            if not self._log_is_broken:
                self._say(f"The access log {self._log.path} cannot be written: {error.strerror}.")
            self._log_is_broken = True
