"""Answers requests to operators whose parameters are no object: FiftyOne would answer with a traceback."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from curate.store.asked import wrong

OPERATORS = "/operators"
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def well_formed(inner: Application) -> Application:
    """The application, which is asked for an operator only with parameters that are an object."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(OPERATORS):
            await inner(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        if (error := fault(b"".join(each.get("body", b"") for each in messages))) is not None:
            await _refuse(send, error)
            return
        remaining = iter(messages)

        async def again() -> Message:
            return next(remaining, None) or await receive()

        await inner(scope, again, send)

    return application


def fault(body: bytes) -> str | None:
    """What is wrong with the body of a request to an operator; None: nothing that would hinder FiftyOne.

    >>> fault(b'{"params": {}}')
    >>> fault(b'{"params": [1]}')[:57]
    'Expected an object for "params"; found a list of 1. Load '
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None  # FiftyOne says that it is not JSON
    if not isinstance(asked, dict):
        return str(wrong("the request", "an object", asked))
    if "params" in asked and not isinstance(asked["params"], dict):
        return str(wrong("params", "an object", asked["params"]))
    return None


async def _refuse(send: Send, error: str) -> None:
    """In the form in which FiftyOne's page shows errors."""
    content = json.dumps({"error": error, "kind": "Bad request"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": content})
