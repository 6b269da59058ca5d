"""Remembers finished steps, so that a step runs again only when its inputs changed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate import __version__
from curate.errors import CurateError
from curate.files import fingerprint, read_json, sha256_file, write_json
from curate.workspace import DatasetPaths, Workspace


def _quiet(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Context:
    """Where a step works and how it talks."""

    workspace: Workspace
    paths: DatasetPaths
    say: Callable[[str], None] = field(default=_quiet)


def done_before(
    paths: DatasetPaths, name: str, inputs: Any, outputs: Sequence[Path]
) -> dict[str, Any] | None:
    """The result of a finished step with the same inputs whose outputs are as it left them, else None."""
    record = recorded(paths, name)
    same = record["fingerprint"] == _key(inputs) and record["outputs"] == _digests(paths, outputs)
    return {**record["result"], "fresh": False} if same else None


def recorded(paths: DatasetPaths, name: str) -> dict[str, Any]:
    """A finished step's fingerprint, inputs, outputs (file -> checksum) and result; all empty without one."""
    empty: dict[str, Any] = {"fingerprint": None, "inputs": {}, "outputs": {}, "result": {}}
    try:
        record = read_json(paths.steps / f"{name}.json")
    except CurateError:
        return empty
    whole = isinstance(record, dict) and all(
        isinstance(record.get(key), dict) for key in ("inputs", "outputs", "result")
    )
    return {**empty, **record} if whole else empty


def as_made(paths: DatasetPaths, name: str, output: Path) -> bool:
    """Whether a step's output is there as the step left it; a damaged one is made again by its step."""
    made = recorded(paths, name)["outputs"].get(os.path.relpath(output, paths.root))
    return made is not None and output.exists() and bool(made == digest(output))


def finish(
    paths: DatasetPaths, name: str, inputs: Any, outputs: Sequence[Path], result: dict[str, Any]
) -> dict[str, Any]:
    """Write a step's record, the last file of the step, and return its result."""
    record = {"fingerprint": _key(inputs), "inputs": inputs, "outputs": _digests(paths, outputs)}
    write_json(paths.steps / f"{name}.json", {**record, "result": result})
    return {**result, "fresh": True}


def once(
    paths: DatasetPaths, name: str, inputs: Any, outputs: Sequence[Path], work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Run `work` unless it is already done; its result carries `fresh`: whether it ran now."""
    earlier = done_before(paths, name, inputs, outputs)
    return earlier if earlier is not None else finish(paths, name, inputs, outputs, work())


def _digests(paths: DatasetPaths, outputs: Sequence[Path]) -> dict[str, str]:
    return {os.path.relpath(path, paths.root): digest(path) for path in outputs}


def digest(path: Path) -> str:
    """Checksum of a file; "absent" when there is none."""
    return sha256_file(path) if path.exists() else "absent"


def _key(inputs: Any) -> str:
    return fingerprint({"inputs": inputs, "curate": __version__})
