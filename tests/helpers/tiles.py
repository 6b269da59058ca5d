"""A made-up dataset "Tiles.1", for tests that judge requests about it without a server."""

from typing import Any

from curate.gateway.rules import Shared

OWN_ID, OTHER_ID, SAMPLE = "a" * 24, "b" * 24, "c" * 24
SHARED = Shared("Tiles.1", "tiles-1", OWN_ID)
NAMES = SHARED.names


def stage(name: str, *kwargs: Any) -> dict[str, Any]:
    """A stage of a view, as the page sends it."""
    return {"_cls": name, "kwargs": list(kwargs)}
