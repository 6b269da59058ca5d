"""Who is logged in: sessions in memory, which end by themselves, with the token, and with the server."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from curate.gateway.tokens import Access, Person

IDLE_S = 8 * 3600.0
LONGEST_S = 24 * 3600.0
N_PER_PERSON = 10


@dataclass
class _Session:
    key: str
    began: float
    used: float


@dataclass
class Sessions:
    """Sessions by the digest of the id that only the browser holds.

    Attributes:
        access: asked again at every use.
        clock: seconds that never go back.
    """

    access: Access
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, _Session] = field(default_factory=dict)

    def begin(self, person: Person) -> str:
        """A new session; returns its id for the cookie. The oldest ones of a person give way."""
        self._sweep()
        own = [digest for digest, session in self._open.items() if session.key == person.key]
        for digest in own[: max(0, len(own) - N_PER_PERSON + 1)]:
            del self._open[digest]
        name = secrets.token_urlsafe(32)
        now = self.clock()
        self._open[_digest(name)] = _Session(person.key, now, now)
        return name

    def person(self, name: str) -> Person | None:
        """Who is logged in with this id, if anybody still is."""
        digest = _digest(name)
        session = self._open.get(digest)
        if session is None:
            return None
        person = None if self._is_over(session) else self.access.again(session.key)
        if person is None:
            del self._open[digest]
            return None
        session.used = self.clock()
        return person

    def end(self, name: str) -> None:
        """Log out."""
        self._open.pop(_digest(name), None)

    def _is_over(self, session: _Session) -> bool:
        now = self.clock()
        return now - session.used > IDLE_S or now - session.began > LONGEST_S

    def _sweep(self) -> None:
        for digest in [digest for digest, session in self._open.items() if self._is_over(session)]:
            del self._open[digest]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
