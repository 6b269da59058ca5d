"""doctor tries every part for real, says what to do, and repairs what it can."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curate.doctor import PARTS, parts
from curate.doctor.run import Verdict, examine
from curate.registry import Entry

pytestmark = pytest.mark.mongod


def test_every_part_works_here_and_says_what_was_seen(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "curate.cli", "doctor", "--json", "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    report = {row["part"]: row for row in json.loads(done.stdout)["parts"]}
    assert done.returncode == 0, done.stdout
    assert list(report) == list(PARTS)
    assert all(row["ok"] for row in report.values())
    assert '"espresso"' in report["backbone"]["found"]
    assert "openvino" in report["runtimes"]["found"]
    assert "written and read back" in report["mongod"]["found"]


def test_unknown_part_to_skip_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'Unknown part "mongo"\. Did you mean "mongod"'):
        examine(tmp_path, skip=["mongo"])


def test_a_witness_of_the_offline_part_sees_a_call_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calling = "from pathlib import Path\nimport socket\ns = socket.socket()\ns.connect_ex(('127.0.0.1', 9))\n"
    monkeypatch.setattr(parts, "WITNESS", parts.WITNESS.replace("from pathlib import Path\n", calling))
    verdict = parts.offline(tmp_path)
    assert not verdict.ok
    assert "connects to ('127.0.0.1', 9)" in verdict.found


def test_full_disk_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "NEEDED_GIB", 1e9)
    verdict = parts.disk(tmp_path)
    assert not verdict.ok
    assert "--home" in verdict.remedy


def broken(home: Path) -> Verdict:
    """A part that works once the file "mended" is there."""
    mended = home / "mended"
    return Verdict(mended.exists(), "seen", "make the file", repair=mended.touch)


def crashing(home: Path) -> Verdict:
    raise OSError("no such library")


def test_fix_repairs_and_tries_again_and_a_crash_hides_no_other_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(PARTS):
        monkeypatch.delitem(PARTS, name)
    here = __name__
    monkeypatch.setitem(sys.modules, here, sys.modules.get(here) or sys.modules[broken.__module__])
    monkeypatch.setitem(PARTS, "crashing", Entry(f"{here}:crashing", ""))
    monkeypatch.setitem(PARTS, "broken", Entry(f"{here}:broken", ""))
    first = examine(tmp_path)
    assert [(row["part"], row["ok"]) for row in first] == [("crashing", False), ("broken", False)]
    assert "no such library" in first[0]["found"]
    said: list[str] = []
    after = examine(tmp_path, fix=True, say=said.append)
    assert [(row["ok"], row["fixed"]) for row in after] == [(False, False), (True, True)]
    assert "make the file" in said[0]
