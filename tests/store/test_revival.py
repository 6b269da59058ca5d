"""A database that dies under a page comes back by itself."""

import time
from pathlib import Path

import pytest

from curate.store import dataset, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.revival import BACK, kept_up
from curate.store.server import connect
from curate.workspace import Workspace
from tests.helpers.stored import row, sample_id, table
from tests.store.test_server import mongod_of

pytestmark = pytest.mark.mongod


def test_a_database_that_is_killed_is_started_again_and_verdicts_are_brought_together(tmp_path: Path) -> None:
    said: list[str] = []
    document = str(object_id(sample_id("a"), "sample"))
    with connect(tmp_path):
        dataset.save_samples("kept", table(row("a")))
        act("kept", "accept_normal", [document], by="ada")
        mirror = Workspace.at().dataset("kept").verdicts
        whole = mirror.read_bytes()
        with kept_up(tmp_path, "kept", said.append):
            mirror.write_bytes(b"")  # as if it had died before the mirror was written
            mongod_of(tmp_path).kill()
            limit = time.monotonic() + 30
            while not said and time.monotonic() < limit:
                time.sleep(0.05)
            assert said == [BACK]
            assert mirror.read_bytes() == whole
            act("kept", "skip", [document], by="ada")
        assert [given["verdict"] for given in verdicts.read_log("kept")] == ["normal", "skipped"]


def test_a_database_of_the_users_own_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_DATABASE_URI", "mongodb://nowhere")
    with kept_up(tmp_path, "any", pytest.fail):
        pass
