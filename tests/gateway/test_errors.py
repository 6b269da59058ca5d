"""What people are told of a failure on the server, and where the reason is kept."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.gateway.accesslog import AccessLog
from curate.gateway.errorlog import FILE, LONGEST_TEXT, ErrorLog, without_tracebacks
from tests.helpers.asking import first_id
from tests.helpers.sharing import NAME, SharedPage

TRACE = 'Traceback (most recent call last):\n  File "/srv/curate/keys.py", line 7\nKeyError: 3'
DONE = {"result": {"n": 1}, "executor": None, "error": None, "error_message": None}


def cleaned(told: Any) -> tuple[Any, list[str]]:
    """What is passed on, and what was kept."""
    kept: list[str] = []

    def note(error: str) -> str:
        kept.append(error)
        return "Error 1."

    return json.loads(without_tracebacks(json.dumps(told).encode(), note)), kept


def test_a_failed_operator_is_told_in_short_and_kept_whole() -> None:
    told, kept = cleaned(DONE | {"error": TRACE, "error_message": "no /srv/curate/a"})
    assert told == DONE | {"error": "Error 1.", "error_message": "Error 1."}
    assert kept == [f"no /srv/curate/a\n{TRACE}"]


def test_failures_inside_an_answer_are_found() -> None:
    failed = DONE | {"error": "[Errno 2] /srv/curate/a", "error_message": None}
    told, kept = cleaned({"placements": [{"placement": failed}], "errors": [TRACE]})
    assert kept == ["[Errno 2] /srv/curate/a", TRACE]
    assert "/srv" not in json.dumps(told) and told["errors"] == ["Error 1."]


@pytest.mark.parametrize(
    "told",
    [DONE, DONE | {"result": {"error": "Say why."}}, {"operators": [{"config": {}}], "errors": []}, [1], 3],
)
def test_what_is_no_failure_stays_as_it_is(told: Any) -> None:
    assert cleaned(told) == (told, [])
    content = json.dumps(told, indent=3).encode()
    assert without_tracebacks(content, str) == content


def test_what_is_not_json_is_passed_on_unless_it_holds_a_traceback() -> None:
    assert without_tracebacks(b"Not found", lambda error: "Error 1.") == b"Not found"
    assert without_tracebacks(TRACE.encode(), lambda error: "Error 1.") == b"Error 1."


def test_the_log_of_errors_holds_the_end_of_long_ones_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path, print)
    told = log.note("Ann", "POST /operators/execute x", "a" * LONGEST_TEXT + "the end\n")
    (line,) = (tmp_path / FILE).read_text().splitlines()
    row = json.loads(line)
    assert row["number"] in told and (row["person"], row["error"][-8:]) == ("Ann", "the end\n")
    assert len(row["error"]) == LONGEST_TEXT
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_an_error_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: AccessLog, **told: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AccessLog, "write", full)
    said: list[str] = []
    ErrorLog(tmp_path, said.append).note("Ann", "x", TRACE)
    assert "No space left" in said[0] and TRACE in said[0]


@pytest.fixture
def broken(shared: SharedPage) -> Iterator[None]:
    """A report of the detector that is none: whoever reads it fails as nobody foresaw."""
    report = shared.root / "detectors" / "padim" / "report.json"
    report.write_text("[]")
    yield
    report.unlink()


@pytest.mark.mongod
def test_of_an_operator_that_fails_people_learn_a_number_only(
    shared: SharedPage, reader: str, broken: None
) -> None:
    params = {"id": first_id(shared, reader)}
    uri = "@curate/compare/compare_look"
    body = {"operator_uri": uri, "dataset_name": NAME, "params": params, "view": []}
    told = shared.ask("POST", "/operators/execute", body, reader)
    assert told.status == 200 and told.json["result"] is None
    assert b"Traceback" not in told.body and b".py" not in told.body and b"/" not in told.body
    error = told.json["error"]
    assert "errors.log" in error and told.json["error_message"] == error
    row = json.loads((shared.root / FILE).read_text().splitlines()[-1])
    assert row["number"] in error and "Traceback (most recent call last)" in row["error"]
    assert (row["person"], row["what"]) == ("Rea", f"POST /operators/execute {uri}")
    access = (shared.root / "access.log").read_text().splitlines()[-1]
    assert json.loads(access)["what"] == f"{uri} failed, see errors.log"


@pytest.mark.mongod
def test_of_a_server_error_people_learn_a_number_only(shared: SharedPage, ann: str) -> None:
    told = shared.ask("POST", "/aggregate", {"filters": 7, "dataset": NAME}, ann)
    assert told.status == 500 and b"Traceback" not in told.body and b".py" not in told.body
    row = json.loads((shared.root / FILE).read_text().splitlines()[-1])
    assert row["number"] in told.json["stack"] and "Traceback" in row["error"]
