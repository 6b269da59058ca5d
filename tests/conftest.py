"""Fixtures that several folders share."""

import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.store.server import Database, connect


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Doctests leave their last value in builtins._; FiftyOne cannot be imported while that holds a list."""
    builtins.__dict__.pop("_", None)


@pytest.fixture(scope="session")
def workspace_db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A running database in a workspace of its own; tests that share it use datasets of different names."""
    home: Path = tmp_path_factory.mktemp("workspace")
    with connect(home) as database:
        yield database
