"""Holds back who guesses tokens, and who keeps too many requests open at a time."""

import ipaddress
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WINDOW_S = 15 * 60.0
N_FAILURES = 5
N_FAILURES_ALL = 200
N_KNOWN = 10_000
N_AT_A_TIME = 100


def client(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network that one IPv6 host is usually given.

    >>> client("2001:db8::1:2"), client("10.0.0.7"), client("::ffff:10.0.0.7")
    ('2001:db8::/64', '10.0.0.7', '10.0.0.7')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


@dataclass
class Failures:
    """Counts failed logins of the last minutes, by client and of all together."""

    clock: Callable[[], float] = time.monotonic
    _by_client: "OrderedDict[str, deque[float]]" = field(default_factory=OrderedDict)
    _all: "deque[float]" = field(default_factory=deque)

    def wait_s(self, who: str) -> int:
        """Seconds until this client may try again; 0 = now."""
        now = self.clock()
        own = self._by_client.get(who, deque())
        waits = [_wait(own, N_FAILURES, now), _wait(self._all, N_FAILURES_ALL, now)]
        return math.ceil(max(waits))

    def note(self, who: str) -> None:
        """A login failed."""
        now = self.clock()
        own = self._by_client.setdefault(who, deque(maxlen=N_FAILURES))
        self._by_client.move_to_end(who)
        own.append(now)
        self._all.append(now)
        while len(self._all) > N_FAILURES_ALL:
            self._all.popleft()
        while len(self._by_client) > N_KNOWN:
            self._by_client.popitem(last=False)


def _wait(failures: "deque[float]", n_allowed: int, now: float) -> float:
    if len(failures) < n_allowed:
        return 0.0
    return max(0.0, failures[-n_allowed] + WINDOW_S - now)


@dataclass
class AtATime:
    """Counts the requests of each client that are not answered yet."""

    n_allowed: int = N_AT_A_TIME
    _open: "Counter[str]" = field(default_factory=Counter)

    @contextmanager
    def one_more(self, who: str) -> Iterator[bool]:
        """Whether this client may have one more request open while the block runs."""
        if self._open[who] >= self.n_allowed:
            yield False
            return
        self._open[who] += 1
        try:
            yield True
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
