"""Servers of people begin, end and are replaced; what they answer is passed back piece by piece."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from curate.gateway import people
from curate.gateway.passing import passed
from curate.gateway.people import Full, People, Upstream
from curate.gateway.tokens import Person

ANN, BOB, CY = Person("Ann", "deciding", "a"), Person("Bob", "reading", "b"), Person("Cy", "deciding", "c")
ANSWERS = {
    b"/page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nX-Own: 1\r\nETag: x\r\n\r\nhi",
    b"/away": b"HTTP/1.1 302 Found\r\nLocation: //evil.example/\r\nContent-Length: 0\r\n\r\n",
    b"/here": b"HTTP/1.1 302 Found\r\nLocation: /page\r\nContent-Length: 0\r\n\r\n",
    b"/fault": b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nTraceback",
}


gone: set[str] = set()  # keys of tokens that hold no more


class Small:
    """A real server on loopback; `asked` holds the requests as they came."""

    def __init__(self, port: int, server: asyncio.Server, asked: list[bytes]) -> None:
        self.address, self.headers = f"http://127.0.0.1:{port}", {"x-secret": "s"}
        self.asked, self.ended, self.told = asked, False, ""
        self._server, self._loop = server, asyncio.get_running_loop()

    def fault(self) -> str | None:
        return self.told or None

    def end(self) -> None:
        self.ended = True
        self._loop.call_soon_threadsafe(self._server.close)


async def small() -> Small:
    """Begin one."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append(head)
                path = head.split()[1]
                if path == b"/events":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                    while True:
                        writer.write(b"data: 1\n\n")
                        await writer.drain()
                        await asyncio.sleep(0.05)
                writer.write(ANSWERS[path])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return Small(server.sockets[0].getsockname()[1], server, asked)


def ran(work: Callable[[People, list[Small], list[str]], Awaitable[None]], n_people: int = 2) -> None:
    """Run a test with a pool of servers, those that it started, and what it said."""

    async def whole() -> None:
        ready = [await small() for _ in range(4)]
        used: list[Small] = []
        said: list[str] = []

        def start(name: str) -> Small:
            used.append(ready.pop())
            return used[-1]

        pool = People(start, "/page", said.append, lambda person: person.key not in gone, n_people)
        gone.clear()
        await work(pool, used, said)
        await pool.close()
        for each in (*used, *ready):
            each.end()
        await asyncio.sleep(0.01)

    asyncio.run(whole())


async def begun(pool: People, person: Person) -> Upstream:
    found = pool.of(person)
    await asyncio.wait_for(found.ready.wait(), 5)
    return found


async def sent(response: Any) -> tuple[int, dict[str, str], list[bytes]]:
    """Send an answer as a server does; status, headers and pieces."""
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    async def receive() -> Any:
        return await asyncio.Future()

    await response({"type": "http", "method": "GET"}, receive, send)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], headers, [m["body"] for m in told[1:] if m["body"]]


def test_a_person_has_one_server_and_others_another() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        first = await begun(pool, ANN)
        assert pool.of(ANN) is first
        assert await begun(pool, BOB) is not first
        assert len(used) == 2
        assert b"x-secret: s" in used[0].asked[0].lower()

    ran(work)


def test_one_too_many_waits_until_a_server_is_not_used() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        first, second = await begun(pool, ANN), await begun(pool, BOB)
        first.n_open = second.n_open = 1
        with pytest.raises(Full):
            pool.of(CY)
        second.n_open = 0
        await begun(pool, CY)
        await asyncio.sleep(0.05)
        assert [each.ended for each in used] == [False, True, False]

    ran(work)


def test_a_server_that_ended_is_said_and_replaced() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        first = await begun(pool, ANN)
        used[0].told = "It fell."
        assert await begun(pool, ANN) is not first
        assert said == ["The server of Ann ended. It fell."]

    ran(work)


def test_servers_end_when_idle_and_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "TEND_S", 0.02)

    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        first = await begun(pool, ANN)
        (await begun(pool, BOB)).n_open = 1
        tending = asyncio.create_task(pool.tend())
        await asyncio.sleep(0.1)
        assert [each.ended for each in used] == [False, False]
        first.used -= people.IDLE_S
        gone.add("b")
        await asyncio.sleep(0.2)
        tending.cancel()
        assert [each.ended for each in used] == [True, True]

    ran(work)


def short(error: str) -> str:
    return "Error 1."


def test_only_what_is_named_is_passed_on_and_back() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        found = await begun(pool, ANN)
        headers = {
            "cookie": "session", "authorization": "Bearer t", "origin": "x", "x-curate-gateway": "mine",
            "x-curate-user": "Mallory", "range": "bytes=0-1", "host": "evil.example",
        }  # fmt: skip
        status, back, pieces = await sent(
            await passed(found, "GET", b"/page", headers, None, lambda: True, short)
        )
        assert (status, b"".join(pieces), back["etag"]) == (200, b"hi", "x")
        assert "set-cookie" not in back and "x-own" not in back
        head = used[0].asked[-1].lower()
        assert b"range: bytes=0-1" in head and b"x-secret: s" in head
        for word in (b"session", b"bearer", b"mallory", b"mine", b"evil", b"origin"):
            assert word not in head
        status, back, _ = await sent(await passed(found, "GET", b"/away", {}, None, lambda: True, short))
        assert status == 302 and "location" not in back
        _, back, _ = await sent(await passed(found, "GET", b"/here", {}, None, lambda: True, short))
        assert back["location"] == "/page"
        status, _, pieces = await sent(await passed(found, "GET", b"/fault", {}, None, lambda: True, short))
        assert status == 500 and json.loads(b"".join(pieces))["stack"] == "Error 1."
        assert found.n_open == 0

    ran(work)


def test_an_endless_answer_comes_at_once_and_ends_with_the_token() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        found = await begun(pool, ANN)
        start, still = time.perf_counter(), iter([True, True, True, False])
        answer = await passed(found, "POST", b"/events", {}, b"{}", lambda: next(still), short)
        assert found.n_open == 1
        _, _, pieces = await sent(answer)
        assert b"".join(pieces).count(b"data: 1") == 3
        assert time.perf_counter() - start < 2
        assert found.n_open == 0

    ran(work)


def test_a_server_that_does_not_answer_is_said() -> None:
    async def work(pool: People, used: list[Small], said: list[str]) -> None:
        found = await begun(pool, ANN)
        used[0]._server.close()
        await found.client.aclose()
        fresh = Upstream(used[0], type(found.client)(base_url="http://127.0.0.1:9", trust_env=False))
        assert (await passed(fresh, "GET", b"/page", {}, None, lambda: True, short)).status_code == 502
        assert fresh.n_open == 0
        await fresh.client.aclose()

    ran(work)
