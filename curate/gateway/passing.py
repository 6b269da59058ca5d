"""Passes a request on to FiftyOne's server, and its answer back, piece by piece."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
from starlette.responses import JSONResponse, Response, StreamingResponse

from curate.gateway.errorlog import without_tracebacks
from curate.gateway.people import Upstream

# what comes from outside is dropped unless named here: cookies, tokens and names stay in the gateway
PASSED_ON = ("accept", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range", "range")
PASSED_BACK = (
    "accept-ranges", "cache-control", "content-length", "content-range", "content-type",
    "cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "etag",
    "last-modified", "vary",
)  # fmt: skip
STREAMED = "text/event-stream"
GONE = "The page's server does not answer. Load the page anew.\n"
OPERATORS = b"/operators"


async def passed(
    upstream: Upstream,
    method: str,
    target: bytes,
    headers: Mapping[str, str],
    content: bytes | None,
    still_in: Callable[[], bool],
    note: Callable[[str], str],
) -> Response:
    """The answer of a person's server, without what it tells of its failures.

    Args:
        target: path and query as they are sent on.
        still_in: asked before each piece of an endless answer; once False, the answer ends.
        note: keeps what was told of a failure; returns what the person is told instead.
    """
    sent = {name: headers[name] for name in PASSED_ON if name in headers}
    request = upstream.client.build_request(method, "/", headers=sent, content=content)
    request.url = request.url.copy_with(raw_path=target)
    upstream.n_open += 1
    try:
        answer = await upstream.client.send(request, stream=True)
    except BaseException as error:
        upstream.n_open -= 1
        if isinstance(error, httpx.HTTPError):
            return Response(GONE, 502)
        raise
    if answer.status_code >= 500 or target.startswith(OPERATORS):
        return await _whole(upstream, answer, note)
    return _Back(upstream, answer, still_in)


async def _whole(upstream: Upstream, answer: httpx.Response, note: Callable[[str], str]) -> Response:
    """An answer that is read before it is passed on, as it may tell of a failure."""
    try:
        content = await answer.aread()
    except httpx.HTTPError:
        return Response(GONE, 502)
    finally:
        upstream.n_open -= 1
        await answer.aclose()
    if answer.status_code >= 500:  # FiftyOne tells its whole traceback
        told = note(_stack(content))
        return JSONResponse({"kind": "Server Error", "stack": told}, answer.status_code)
    cleaned = without_tracebacks(content, note)
    return Response(cleaned, answer.status_code, _told(answer, but="content-length"))


def _stack(content: bytes) -> str:
    """The traceback of a failure as FiftyOne tells it, else all that it tells."""
    try:
        return str(json.loads(content)["stack"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return content.decode(errors="replace")


def _told(answer: httpx.Response, but: str = "") -> dict[str, str]:
    return {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers and name != but}


class _Back(StreamingResponse):
    """An answer that is closed however its sending ends."""

    def __init__(self, upstream: Upstream, answer: httpx.Response, still_in: Callable[[], bool]) -> None:
        self._upstream, self._answer = upstream, answer
        told = _told(answer)
        endless = told.get("content-type", "").startswith(STREAMED)
        super().__init__(_pieces(answer, still_in if endless else None), answer.status_code, told)
        if location := _own_place(answer.headers.get("location", "")):
            self.headers["location"] = location

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._upstream.n_open -= 1
            await self._answer.aclose()


async def _pieces(answer: httpx.Response, still_in: Callable[[], bool] | None) -> AsyncIterator[bytes]:
    async for piece in answer.aiter_raw():
        if still_in is not None and not still_in():
            return
        yield piece


def _own_place(location: str) -> str:
    """A redirection within the page; others are dropped."""
    return location if location.startswith("/") and not location.startswith("//") else ""
