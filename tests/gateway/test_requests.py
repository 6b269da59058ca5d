"""Requests that never end, and the form of what is read."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from curate.gateway.requests import Refused, body_of, form_of, json_of, query_of


def request(
    messages: list[dict[str, Any]], path: str = "/graphql", query: bytes = b"", **headers: str
) -> Request:
    """A request whose body comes in these messages, and then in none."""
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in left:
            return message
        return await asyncio.Future()

    found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": found}
    return Request(scope, receive)


def piece(content: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


def status_of(work: Any) -> int:
    with pytest.raises(Refused) as caught:
        asyncio.run(work)
    return caught.value.status


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    slow = request([piece(b"{", True)])
    assert status_of(body_of(slow, limit_s=0.05)) == 408
    assert status_of(body_of(request([piece(b"{", True), {"type": "http.disconnect"}]))) == 400


def test_a_body_is_counted_and_not_believed() -> None:
    many = [piece(b"x" * 600, True), piece(b"x" * 600, True), piece(b"", False)]
    assert status_of(body_of(request(many), largest=1000)) == 413
    assert status_of(body_of(request(many, content_length="2"), largest=1000)) == 413
    assert status_of(body_of(request([], content_length="1001"), largest=1000)) == 413
    assert status_of(body_of(request([], content_length="-1"))) == 413
    assert asyncio.run(body_of(request([piece(b"ab", True), piece(b"c", False)]))) == b"abc"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{}{}", b"[" * 100_000])
def test_what_is_not_json_is_refused(content: bytes) -> None:
    assert status_of(json_of(request([piece(content, False)], content_type="application/json"))) == 400


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/event-stream", "application/xml", "application/jsonx"]
)
def test_json_must_be_called_json(kind: str) -> None:
    assert status_of(json_of(request([piece(b"{}", False)], content_type=kind))) == 415
    events = request([piece(b"{}", False)], path="/events", content_type="text/event-stream")
    assert asyncio.run(json_of(events)) == {}


def test_a_form_is_small_and_of_one_kind() -> None:
    kind = "application/x-www-form-urlencoded"
    good = request([piece(b"token=a%20b&next=", False)], content_type=kind)
    assert asyncio.run(form_of(good)) == {"token": "a b", "next": ""}
    assert status_of(form_of(request([piece(b"token=a", False)], content_type="text/plain"))) == 415
    assert status_of(form_of(request([piece(b"a=1&" * 20, False)], content_type=kind))) == 400
    assert status_of(form_of(request([piece(b"a" * 20_000, False)], content_type=kind))) == 413


def test_a_query_is_decoded_once() -> None:
    assert query_of(request([], query=b"filepath=%252Fetc&x=")) == (("filepath", "%2Fetc"), ("x", ""))
    for query in (b"a" * 9000, b"a=1&" * 40, b"\xff"):
        with pytest.raises(Refused):
            query_of(request([], query=query))
