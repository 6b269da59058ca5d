"""Names of formats, checks, rules and other parts, resolved to code on first use."""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A registered part: where its code is and what it is for.

    Attributes:
        target: "module", or "module:attribute".
        summary: one line for listings.
    """

    target: str
    summary: str

    def load(self) -> Any:
        """Import and return the module or attribute."""
        module_name, _, attribute = self.target.partition(":")
        module = importlib.import_module(module_name)
        return getattr(module, attribute) if attribute else module


def lookup(registry: Mapping[str, Entry], name: str, kind: str) -> Any:
    """Load the part called `name`.

    Args:
        registry: name to entry.
        name: as on the command line and in files.
        kind: what the registry holds, for the message ("format", "detector").

    Raises:
        ValueError: the name is unknown; the message lists the nearest known names.

    >>> lookup({"max_normal": Entry("math", "")}, "max_norm", "threshold rule")
    Traceback (most recent call last):
    ValueError: Unknown threshold rule "max_norm". Did you mean "max_normal"? Known: max_normal.
    """
    if name in registry:
        return registry[name].load()
    near = difflib.get_close_matches(name, registry, n=3)
    quoted = " or ".join(f'"{known}"' for known in near)
    hint = f" Did you mean {quoted}?" if near else ""
    raise ValueError(f'Unknown {kind} "{name}".{hint} Known: {", ".join(registry)}.')
