"""One App server for each person who is logged in: begun at the first request, ended when it is not used."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from curate.gateway.tokens import Person

N_PEOPLE = 8
IDLE_S = 30 * 60.0
START_LIMIT_S = 180.0
LOOK_S = 0.3
TEND_S = 5.0


class Running(Protocol):
    """A started App server.

    Attributes:
        address: where it answers.
        headers: without which it does not.
    """

    address: str
    headers: dict[str, str]

    def fault(self) -> str | None:
        """Why it has ended by itself; None = it runs."""

    def end(self) -> None:
        """End it; may take seconds."""


@dataclass
class Upstream:
    """The server of a person, and what its requests go through."""

    running: Running
    client: httpx.AsyncClient
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    n_open: int = 0
    used: float = 0.0
    began: float = 0.0


class Full(Exception):
    """As many people as the machine is to serve are there."""


class People:
    """The servers, by the token that let the person in: with the token its server ends.

    Attributes:
        n_people: how many servers may run.
    """

    def __init__(
        self,
        start: Callable[[str], Running],
        page: str,
        say: Callable[[str], None],
        still_in: Callable[[Person], bool],
        n_people: int = N_PEOPLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start, self._page, self._say, self._still_in = start, page, say, still_in
        self.n_people, self._clock = n_people, clock
        self._running: dict[Person, Upstream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, person: Person) -> Upstream:
        """The server of a person, started if there is none; it may not be ready yet.

        Raises:
            Full: too many people are there.
        """
        found = self._running.get(person)
        if found is not None and (fault := found.running.fault()) is not None:
            self._say(f"The server of {person.name} ended. {fault}")
            self._drop(person)
            found = None
        if found is None:
            found = self._begin(person)
        found.used = self._clock()
        return found

    def _begin(self, person: Person) -> Upstream:
        if len(self._running) >= self.n_people:
            self._end_unused(0.0)
        if len(self._running) >= self.n_people:
            raise Full
        running = self._start(person.name)  # in this thread: the child ends with the thread that started it
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
        client = httpx.AsyncClient(
            base_url=running.address, headers=running.headers, trust_env=False, follow_redirects=False,
            limits=limits, timeout=httpx.Timeout(120.0, connect=5.0),
        )  # fmt: skip
        found = Upstream(running, client, began=self._clock())
        self._running[person] = found
        self._later(self._wait(person, found))
        return found

    async def _wait(self, person: Person, found: Upstream) -> None:
        """Until the server answers; one that does not is ended."""
        while self._clock() - found.began < START_LIMIT_S and found.running.fault() is None:
            with suppress(httpx.HTTPError):
                answer = await found.client.get(self._page, timeout=10.0)
                if answer.status_code == 200:
                    found.ready.set()
                    return
            await asyncio.sleep(LOOK_S)
        if found.running.fault() is None:
            self._say(f"The server of {person.name} gave no answer for {START_LIMIT_S:.0f} s.")
            if self._running.get(person) is found:
                self._drop(person)

    async def tend(self) -> None:
        """End servers that nobody uses, or may use, for ever."""
        while True:
            await asyncio.sleep(TEND_S)
            self._end_unused(IDLE_S)
            for person in [person for person in self._running if not self._still_in(person)]:
                self._drop(person)

    def _end_unused(self, idle_s: float) -> None:
        """End servers that nobody used for so long and that answer nothing now; with 0 only the idlest."""
        now = self._clock()
        unused = [
            (each.used, person)
            for person, each in self._running.items()
            if each.n_open == 0 and now - each.used >= idle_s and each.ready.is_set()
        ]
        for _, person in sorted(unused)[: None if idle_s else 1]:
            self._drop(person)

    def _drop(self, person: Person) -> None:
        found = self._running.pop(person)
        self._later(self._close(found))

    async def _close(self, found: Upstream) -> None:
        await found.client.aclose()
        await asyncio.to_thread(found.running.end)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all servers."""
        for person in list(self._running):
            self._drop(person)
        await asyncio.gather(*self._tasks, return_exceptions=True)
