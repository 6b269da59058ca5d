"""Tokens and sessions at the real gateway: how one gets in, and is out again."""

import contextlib
import http.client
import json
import threading
import time
from urllib.parse import quote

import pytest

from curate.gateway.limits import N_FAILURES
from tests.helpers.sharing import NAME, SharedPage

pytestmark = pytest.mark.mongod


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/datasets/assets/index.js"), ("GET", "/media?filepath=/etc/passwd"), ("POST", "/graphql"),
        ("POST", "/operators/execute"), ("POST", "/events"), ("PATCH", "/dataset/x/sample/y"), ("GET", "/x"),
        ("GET", "/plugins"), ("POST", "/aggregate"), ("DELETE", "/"), ("POST", "/curate/x"),
    ],
)  # fmt: skip
def test_without_a_token_nothing_is_told(shared: SharedPage, method: str, path: str) -> None:
    told = shared.ask(method, path, {} if method in ("POST", "PATCH") else None)
    assert (told.status, told.body) == (401, b"Log in first.\n")
    assert shared.ask(method, path, {}, session="A" * 43).status == 401


def test_the_login_page_loads_nothing_and_goes_nowhere_else(shared: SharedPage) -> None:
    told = shared.ask("GET", "/")
    assert told.status == 401 and b"Access token" in told.body
    assert "default-src 'none'" in told.headers["content-security-policy"]
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["x-content-type-options"] == "nosniff"
    assert b"src=" not in told.body and told.body.count(b"href=") == 0
    token = shared.token("Nex", "reading")
    for wanted in (
        "https://evil.example/",
        "//evil.example/",
        "/login",
        shared.page + "/../x",
        "javascript:x",
    ):
        form = f"token={token}&next={quote(wanted, safe='')}".encode()
        kind = {"Content_Type": "application/x-www-form-urlencoded", "Origin": shared.origin}
        answer = shared.ask("POST", "/login", raw=form, **kind)
        assert answer.headers["location"] == shared.page + shared.opening
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "secure", "samesite=strict", "path=/", "__host-"))


def test_wrong_tokens_are_refused_alike_and_then_held_back(shared: SharedPage, ann: str) -> None:
    source = "127.0.0.2"
    answers = [shared.log_in(f"curate_{number}", source) for number in range(N_FAILURES)]
    assert {(told.status, told.body) for told in answers} == {(401, answers[0].body)}
    late = shared.log_in("curate_x", source)
    assert late.status == 429 and 0 < int(late.headers["retry-after"]) <= 900
    assert shared.ask("GET", "/plugins", source=source, Authorization="Bearer x").status == 429
    good = shared.token("Lat")
    assert shared.log_in(good, source).status == 429  # nor does a right one tell itself from wrong ones
    assert shared.ask("GET", "/plugins", session=ann, source=source).status == 200  # who is in stays in
    assert shared.log_in(good).status == 303  # others are not held back


def test_a_script_brings_its_token_along(shared: SharedPage) -> None:
    token = shared.token("Bot", "reading")
    assert shared.ask("GET", "/", Authorization=f"Bearer {token}").status == 303
    for wrong in (f"Bearer {token}x", f"Basic {token}", token, "Bearer", "Bearer " + "x" * 4000):
        assert shared.ask("GET", "/plugins", source="127.0.0.4", Authorization=wrong).status == 401
    shared.revoke("Bot")
    assert shared.ask("GET", "/plugins", source="127.0.0.5", Authorization=f"Bearer {token}").status == 401


def listened(shared: SharedPage, session: str, heard: list[bytes], ended: threading.Event) -> None:
    """Open the page's stream of events, and keep what comes."""
    body = {"initializer": {"dataset": NAME}, "events": ["state_update"], "subscription": "test"}
    headers = {
        "Content-Type": "text/event-stream", "Origin": shared.origin, "Cookie": f"{shared.cookie}={session}"
    }  # fmt: skip
    with contextlib.closing(shared.connection()) as connection:
        connection.request("POST", "/events", json.dumps(body), headers)
        with contextlib.suppress(http.client.IncompleteRead), connection.getresponse() as answer:
            while piece := answer.read1(65536):
                heard.append(piece)
    ended.set()


def test_a_revoked_token_ends_sessions_and_open_streams_at_once(shared: SharedPage) -> None:
    session = shared.session(shared.token("Gon", "reading"))
    heard: list[bytes] = []
    ended = threading.Event()
    threading.Thread(target=listened, args=(shared, session, heard, ended), daemon=True).start()
    limit = time.monotonic() + 20
    while not heard and time.monotonic() < limit:
        time.sleep(0.05)
    assert b"state_update" in heard[0]  # it comes at once, not when the answer is whole
    shared.revoke("Gon")
    assert shared.ask("GET", "/plugins", session=session).status == 401
    assert ended.wait(10)


def test_logging_out_ends_the_session(shared: SharedPage) -> None:
    told = shared.log_in(shared.token("Out", "reading"))
    session = told.headers["set-cookie"].split(";")[0].partition("=")[2]
    assert b"Out" in shared.ask("GET", "/login", session=session).body
    assert (
        shared.ask("POST", "/logout", session=session, raw=b"", Origin="https://evil.example").status == 403
    )
    assert b"Out" in shared.ask("GET", "/login", session=session).body
    assert shared.ask("POST", "/logout", session=session, raw=b"", Origin=shared.origin).status == 303
    assert b"Access token" in shared.ask("GET", "/login", session=session).body
