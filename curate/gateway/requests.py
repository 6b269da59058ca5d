"""Reads a request as far as the gateway needs it, within limits."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

LARGEST_BODY = 8 << 20
BODY_LIMIT_S = 30.0
N_QUERY_FIELDS = 30
LONGEST_TARGET = 8_000
JSON_TYPES = ("application/json", "application/json-patch+json")
STREAM_PATHS = ("/events",)  # the App sends JSON there under the name of what it wants back
FORM_TYPE = "application/x-www-form-urlencoded"


class Refused(Exception):
    """A request that is answered with an error; the text is for the one who asks."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})

    def answer(self) -> Response:
        """What is sent."""
        return PlainTextResponse(f"{self.text}\n", self.status, headers=self.headers)


def query_of(request: Request) -> tuple[tuple[str, str], ...]:
    """Pairs of the query, decoded once.

    Raises:
        Refused: too long, or not readable.
    """
    raw = request.scope["query_string"]
    if len(raw) + len(request.scope["path"]) > LONGEST_TARGET:
        raise Refused(414, "The address is too long.")
    try:
        return tuple(parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=N_QUERY_FIELDS))
    except ValueError:
        raise Refused(400, "The address cannot be read.") from None


async def body_of(request: Request, largest: int = LARGEST_BODY, limit_s: float = BODY_LIMIT_S) -> bytes:
    """All of the body.

    Raises:
        Refused: too large, whatever the request says of its length, or too slow.
    """
    told = request.headers.get("content-length")
    if told is not None and (not told.isdecimal() or int(told) > largest):
        raise Refused(413, f"More than {largest >> 20} MiB at once.")
    pieces, n_bytes = [], 0
    try:
        async with asyncio.timeout(limit_s):
            async for piece in request.stream():
                n_bytes += len(piece)
                if n_bytes > largest:
                    raise Refused(413, f"More than {largest >> 20} MiB at once.")
                pieces.append(piece)
    except TimeoutError:
        raise Refused(408, "The request came too slowly.") from None
    except ClientDisconnect:
        raise Refused(400, "The request did not come whole.") from None
    return b"".join(pieces)


async def json_of(request: Request) -> Any:
    """The body as JSON.

    Raises:
        Refused: see body_of; or of another type, or not JSON.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    streamed = kind == "text/event-stream" and request.scope["path"] in STREAM_PATHS
    if kind not in JSON_TYPES and not streamed:
        raise Refused(415, "Only JSON is taken here.")
    content = await body_of(request)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused(400, "The request is not JSON.") from None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a small form.

    Raises:
        Refused: see body_of; or of another type.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != FORM_TYPE:
        raise Refused(415, "Only a form is taken here.")
    content = await body_of(request, largest=1 << 14)
    try:
        return dict(parse_qsl(content.decode("utf-8"), keep_blank_values=True, max_num_fields=10))
    except ValueError:
        raise Refused(400, "The form cannot be read.") from None
