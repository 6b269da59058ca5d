"""Errors a user can act on: what was expected, what was found and where, what to do."""

from collections.abc import Sequence

SHOWN = 10


class CurateError(Exception):
    """Wrong data or a broken surrounding; the command line prints it and exits with 1."""


class DataFault(CurateError):
    """One or more faults of a dataset, all reported at once."""


class Unreadable(CurateError):
    """A file that cannot be read or decoded."""


class MissingMask(CurateError):
    """An anomalous image without its ground-truth mask."""


class SchemaViolation(CurateError):
    """A table or file that breaks its contract in data_schemas/."""


class AlreadyExists(CurateError):
    """Output that is already there and was not asked to be replaced."""


class DatabaseDown(CurateError):
    """The database does not start, does not answer, or stopped during the work."""


class Busy(CurateError):
    """Another command is at work on the dataset, and waiting for its end is not possible here."""


class StorageFull(CurateError):
    """No space is left where a file has to be written."""


class Missing(CurateError):
    """A dataset, file or part of the installation that the command needs."""


def listed(faults: Sequence[str], shown: int = SHOWN) -> str:
    """Fault lines joined for a message: the first ten, then how many more.

    >>> print(listed(["a", "b", "c"], shown=2))
      a
      b
      and 1 more
    """
    lines = [f"  {fault}" for fault in faults[:shown]]
    if len(faults) > shown:
        lines.append(f"  and {len(faults) - shown} more")
    return "\n".join(lines)
