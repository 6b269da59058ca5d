"""Passes a request on to FiftyOne's server, and its answer back, piece by piece."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
from starlette.responses import JSONResponse, Response, StreamingResponse

from curate.gateway.people import Upstream

# what comes from outside is dropped unless named here: cookies, tokens and names stay in the gateway
PASSED_ON = ("accept", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range", "range")
PASSED_BACK = (
    "accept-ranges", "cache-control", "content-length", "content-range", "content-type",
    "cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "etag",
    "last-modified", "vary",
)  # fmt: skip
STREAMED = "text/event-stream"
FAILED = "The server could not do this; its log on the serving machine says why."


async def passed(
    upstream: Upstream,
    method: str,
    target: bytes,
    headers: Mapping[str, str],
    content: bytes | None,
    still_in: Callable[[], bool],
) -> Response:
    """The answer of a person's server.

    Args:
        target: path and query as they are sent on.
        still_in: asked before each piece of an endless answer; once False, the answer ends.
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
            return Response("The page's server does not answer. Load the page anew.\n", 502)
        raise
    if answer.status_code >= 500:  # FiftyOne tells its whole traceback
        upstream.n_open -= 1
        await answer.aclose()
        return JSONResponse({"kind": "Server Error", "stack": FAILED}, answer.status_code)
    return _Back(upstream, answer, still_in)


class _Back(StreamingResponse):
    """An answer that is closed however its sending ends."""

    def __init__(self, upstream: Upstream, answer: httpx.Response, still_in: Callable[[], bool]) -> None:
        self._upstream, self._answer = upstream, answer
        told = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
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
