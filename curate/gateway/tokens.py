"""Named access tokens of one dataset: made, listed, revoked, and recognised without being kept.

A token has 192 random bits. Nobody can try all of them, so a plain SHA-256 keeps it as safe as a slow hash
would, and a flood of wrong tokens costs the server nothing.
"""

import fcntl
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from curate.errors import AlreadyExists, CurateError, Missing, Unreadable
from curate.faults import plain
from curate.files import read_json, to_json, write_bytes, writing
from curate.schema import check_rows

TOKEN_BYTES = 24
FILE = "access.json"  # in the folder of the dataset
PREFIX = "curate_"  # programs that look for leaked secrets can tell what it is
LONGEST_NAME = 80
LONGEST_TOKEN = 200
Role = Literal["reading", "deciding"]


class Person(NamedTuple):
    """Whom a token lets in.

    Attributes:
        key: stands for this very token; another one of the same person has another key.
    """

    name: str
    role: Role
    key: str


def add(path: Path, person: str, role: Role, days: int | None, now: datetime) -> str:
    """Let a person in; returns the token, which is shown this once.

    Args:
        path: the dataset's access.json; made if absent.
        days: after which the token ends; None = never.

    Raises:
        AlreadyExists: the person has a token that holds.
        CurateError: not a name that can stand in a verdict.
    """
    name = _checked(person)
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    with _alone(path):
        people = _read(path)
        if any(row["person"].casefold() == name.casefold() and _holds(row, now) for row in people):
            raise AlreadyExists(
                f'AlreadyExists: "{name}" has a token that holds. Choose another name, or revoke it first: '
                f'curate access revoke {path.parent.name} "{name}"'
            )
        people.append({
            "person": name, "role": role, "token_sha256": _digest(token), "added_at": _told(now),
            "expires_at": None if days is None else _told(now + timedelta(days=days)), "revoked_at": None,
        })  # fmt: skip
        _write(path, people)
    return token


def revoke(path: Path, person: str, now: datetime) -> None:
    """Let a person in no more.

    Raises:
        Missing: nobody of this name has a token that holds.
    """
    name = unicodedata.normalize("NFC", person.strip())
    with _alone(path):
        people = _read(path)
        concerned = [row for row in people if row["person"] == name and _holds(row, now)]
        if not concerned:
            holders = ", ".join(row["person"] for row in people if _holds(row, now)) or "nobody"
            raise Missing(f'Missing: "{name}" has no token that holds. Tokens that hold: {holders}.')
        for row in concerned:
            row["revoked_at"] = _told(now)
        _write(path, people)


def listed(path: Path, now: datetime) -> list[dict[str, Any]]:
    """Everybody who was ever let in, in order, with the state "holds", "ended" or "revoked"; no digests."""
    shown = ("person", "role", "added_at", "expires_at", "revoked_at")
    return [{**{key: row[key] for key in shown}, "state": _state(row, now)} for row in _read(path)]


class Access:
    """Recognises tokens by the file as it is at that moment: what is revoked is refused at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._people: list[dict[str, Any]] = []

    def person(self, token: str) -> Person | None:
        """Whom this token lets in; every stored one is compared, so that the time tells nothing."""
        if len(token) > LONGEST_TOKEN:
            return None
        digest = _digest(token)
        found = [row for row in self._current() if hmac.compare_digest(row["token_sha256"], digest)]
        return self._valid(found)

    def again(self, key: str) -> Person | None:
        """The person whose token had this key, if it still holds."""
        return self._valid([row for row in self._current() if row["token_sha256"] == key])

    def _valid(self, rows: list[dict[str, Any]]) -> Person | None:
        now = datetime.now(UTC)
        holding = [row for row in rows if _holds(row, now)]
        return (
            Person(holding[0]["person"], holding[0]["role"], holding[0]["token_sha256"]) if holding else None
        )

    def _current(self) -> list[dict[str, Any]]:
        try:
            about = self._path.stat()
        except FileNotFoundError:
            return []
        seen = (about.st_ino, about.st_mtime_ns, about.st_size)
        if seen != self._seen:
            try:
                self._people = _read(self._path)
            except (CurateError, OSError):  # a file that somebody broke lets nobody in
                self._people = []
            self._seen = seen
        return self._people


def _checked(person: str) -> str:
    name = unicodedata.normalize("NFC", person.strip())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise CurateError(
            f"CurateError: {person!r} cannot be the name of a person. "
            f"Take 1 to {LONGEST_NAME} printable characters; it stands in every verdict."
        )
    return name


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _state(row: dict[str, Any], now: datetime) -> str:
    if row["revoked_at"]:
        return "revoked"
    ended = row["expires_at"] and datetime.fromisoformat(row["expires_at"]) <= now
    return "ended" if ended else "holds"


def _holds(row: dict[str, Any], now: datetime) -> bool:
    return _state(row, now) == "holds"


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    content = read_json(path)
    check_rows([content], "access")
    people: list[dict[str, Any]] = content["people"]
    moments = [row["expires_at"] for row in people if row["expires_at"] is not None]
    if broken := [text for text in moments if not _is_moment(text)]:
        raise Unreadable(
            f'Unreadable: {path} says that a token ends at "{plain(broken[0], 60)}", which is no moment in '
            "UTC such as 2026-01-31T08:15:00+00:00. It lets nobody in. Restore the file from a copy."
        )
    return people


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _write(path: Path, people: list[dict[str, Any]]) -> None:
    write_bytes(path, (to_json({"people": people}) + "\n").encode(), mode=0o600)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two commands that alter the file wait for each other."""
    with writing(path):
        file = path.with_name(f".{path.name}.lock").open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
