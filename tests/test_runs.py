"""A run record tells what ran, also when the command was killed."""

import json
from pathlib import Path

from curate.runs import RunRecord


def read(record: RunRecord) -> dict[str, object]:
    content: dict[str, object] = json.loads(record.path.read_text())
    return content


def test_killed_command_leaves_its_arguments_versions_and_inputs(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "score", {"name": "tiles", "seed": 7, "out": Path("/data/out")})
    record.add_input("samples", "abc")
    content = read(record)
    assert content["status"] == "running"
    assert content["arguments"] == {"name": "tiles", "seed": 7, "out": "/data/out"}
    assert content["input_checksums"] == {"samples": "abc"}
    assert content["seed"] == 7
    assert {"python", "torch", "fiftyone", "fpc-curate"} <= set(content["versions"])  # type: ignore[call-overload]


def test_finished_command_tells_duration_and_memory(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "score", {})
    record.finish("done")
    content = read(record)
    assert content["status"] == "done"
    assert 0 <= float(str(content["duration_s"])) < 60
    assert float(str(content["peak_memory_mib"])) > 5
