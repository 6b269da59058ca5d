"""Keeps on this machine what FiftyOne's server tells of a failure; people are told where it can be read.

An operator that fails is answered with Python's traceback, and so with paths of this machine. It goes into
errors.log of the dataset's folder, under a number that the person who asked is told.
"""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.gateway.accesslog import AccessLog

FILE = "errors.log"
LONGEST_TEXT = 20_000
MARK = "Traceback (most recent call last)"
FAILURE = ("error_message", "error")
RESULT = {*FAILURE, "executor"}  # keys of what FiftyOne tells of an operator that was run
FAILED = (
    "The server could not do this (error {number}). Nothing else is told here; whoever serves the page finds "
    "the reason under that number in errors.log of the dataset's folder."
)


class ErrorLog:
    """Notes failures, one JSON line each: at, number, person, what and error."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._log, self._say = AccessLog(folder / FILE, longest_text=LONGEST_TEXT), say

    def note(self, person: str, what: str, error: str) -> str:
        """Keep what was told of a failure; returns what the person is told instead."""
        number = secrets.token_hex(3)
        told = error if len(error) <= LONGEST_TEXT else error[-LONGEST_TEXT:]  # the end says what failed
        try:
            self._log.write(number=number, person=person, what=what, error=told)
        except OSError as fault:
            self._say(f"{self._log.path} cannot be written ({fault.strerror}). Error {number}: {told}")
        return FAILED.format(number=number)


def without_tracebacks(content: bytes, note: Callable[[str], str]) -> bytes:
    """The answer to a request about operators, without what it tells of a failure.

    What our own operators say stands in `result`, is meant for people, and stays.

    Args:
        content: as FiftyOne's server answers.
        note: keeps what was told; returns what is told instead.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return note(content.decode(errors="replace")).encode() if MARK.encode() in content else content
    cleaned = _cleaned(told, note)
    return content if cleaned == told else json.dumps(cleaned).encode()


def _cleaned(told: Any, note: Callable[[str], str]) -> Any:
    """The same with a note in place of each failure, wherever it stands."""
    if isinstance(told, str):
        return note(told) if MARK in told else told
    if isinstance(told, list):
        return [_cleaned(each, note) for each in told]
    if not isinstance(told, dict):
        return told
    if told.keys() >= RESULT and (texts := [str(told[key]) for key in FAILURE if told[key]]):
        told = told | dict.fromkeys(FAILURE, note("\n".join(texts)))
    return {key: _cleaned(value, note) for key, value in told.items()}
