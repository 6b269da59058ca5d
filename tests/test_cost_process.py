"""The fresh processes that measure: how they end, and what is told of it."""

import os
import signal
import sys
import threading
import time

import pytest

import detectors
from curate import cost_worker
from curate.cost_process import NotMeasured, ask, busy
from curate.errors import DataFault
from curate.score_images import Pixels
from tests.test_scoring import TINY, make_table


@pytest.mark.parametrize(("load", "told"), [(3.9, []), (31.2, ["31.2 on 2 cores"])])
def test_a_machine_busy_with_other_work_is_told(load, told, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert [warning[warning.index("31") : warning.index(")")] for warning in busy(2)] == told


def test_a_killed_process_is_reported_with_a_remedy(tmp_path):
    dying = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    with pytest.raises(NotMeasured, match=r"killed \(SIGKILL\)(.|\n)*settings that need less"):
        ask("fit", {}, tmp_path, dying)


def test_a_process_without_an_answer_is_reported_even_where_an_old_answer_lies(tmp_path):
    (tmp_path / "fit-answer.json").write_text("{}")
    with pytest.raises(NotMeasured, match="ended with code 3"):
        ask("fit", {}, tmp_path, [sys.executable, "-c", "raise SystemExit(3)"])


def test_an_error_nobody_foresaw_comes_with_its_traceback(tmp_path):
    with pytest.raises(NotMeasured, match="KeyError: 'state'") as told:
        ask("predict", {}, tmp_path)
    assert told.value.trace is not None and "Traceback" in told.value.trace


def test_an_interrupted_command_leaves_no_process_behind(tmp_path):
    told = tmp_path / "fit-answer.json.pid"
    program = (
        "import os, pathlib, sys, time\n"
        "part = pathlib.Path(sys.argv[2] + '.part'); part.write_text(str(os.getpid()))\n"
        "part.rename(sys.argv[2] + '.pid'); time.sleep(100)"
    )

    def interrupt() -> None:
        while not told.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        ask("fit", {}, tmp_path, [sys.executable, "-c", program])
    waiting.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_score_that_is_not_finite_is_refused_with_its_file(tmp_path, monkeypatch):
    table = make_table(tmp_path, n=4, n_bad=1)
    rows, pixels = table.to_dict("records"), Pixels()
    fitted = detectors.create("padim", **TINY).fit([pixels(row) for row in rows[:4]])
    scores, seconds = cost_worker._streamed(fitted, pixels, rows)
    assert list(scores) == [row["sample_id"] for row in rows] and seconds > 0
    monkeypatch.setattr(fitted, "_reduced", lambda values: float("nan"))
    with pytest.raises(DataFault, match=r"000\.png a score that is not finite"):
        cost_worker._streamed(fitted, pixels, rows)
