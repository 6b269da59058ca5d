"""Step: who may open a dataset's shared page."""

from datetime import UTC, datetime
from typing import Any

from curate.workspace import DatasetPaths


def add(paths: DatasetPaths, person: str, only_looks: bool, days: int | None) -> dict[str, Any]:
    """Let a person in; `token` in the result is told nowhere else, ever.

    Raises:
        AlreadyExists: the person has a token that holds.
        CurateError: not a name that can stand in a verdict.
    """
    from curate.gateway import tokens

    role: tokens.Role = "reading" if only_looks else "deciding"
    token = tokens.add(paths.root / tokens.FILE, person, role, days, datetime.now(UTC))
    return {"dataset": paths.name, "person": person.strip(), "role": role, "days": days, "token": token}


def revoke(paths: DatasetPaths, person: str) -> dict[str, Any]:
    """Let a person in no more, from this moment.

    Raises:
        Missing: nobody of this name has a token that holds.
    """
    from curate.gateway import tokens

    tokens.revoke(paths.root / tokens.FILE, person, datetime.now(UTC))
    return {"dataset": paths.name, "person": person.strip(), "revoked": True}


def people(paths: DatasetPaths) -> dict[str, Any]:
    """Everybody who was ever let in."""
    from curate.gateway import tokens

    return {"dataset": paths.name, "people": tokens.listed(paths.root / tokens.FILE, datetime.now(UTC))}
