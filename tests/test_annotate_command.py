"""curate annotate as a person types it: help at once, wrong usage told, nothing sent by mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.annotation import TOOLS
from curate.annotation_tasks import KINDS
from curate.commands.annotate import Kind, Tool, app
from tests.test_cli import HEAVY

SERVER = ("FIFTYONE_CVAT_URL", "FIFTYONE_CVAT_USERNAME", "FIFTYONE_CVAT_PASSWORD")


def test_the_choices_are_the_tools_and_kinds_there_are() -> None:
    assert [tool.value for tool in Tool] == list(TOOLS)
    assert [kind.value for kind in Kind] == list(KINDS)


@pytest.mark.parametrize("verb", ["send", "receive"])
def test_help_loads_no_heavy_package(verb: str) -> None:
    script = (
        "import sys, json\nfrom curate.cli import main\n"
        f"sys.argv = ['curate', 'annotate', {verb!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "print('LOADED', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout.rpartition("LOADED ")[2])) & HEAVY
    assert f"Usage: curate annotate {verb}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("send", "toy"), 2, "Give either --out FOLDER or --server."),
        (("send", "toy", "--out", "x", "--server"), 2, "Give either --out FOLDER or --server."),
        (("send", "toy", "--server"), 1, "Set FIFTYONE_CVAT_URL"),
        (("send", "toy", "--out", "x"), 1, 'has no dataset "toy"'),
        (("receive", "toy"), 2, "Give either the FILE that the tool exported or --server PACKAGE."),
        (("receive", "toy", "x.xml", "--label", "scrach"), 2, "Expected --label NAME=LABEL"),
        (("receive", "toy", "x.xml"), 1, 'has no dataset "toy"'),
        (("send", "toy", "--tool", "paint", "--out", "x"), 2, "paint"),
    ],
)
def test_wrong_usage_is_told(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SERVER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path / "home")])
    assert (done.exit_code, "Traceback" in done.stderr) == (code, False)
    assert message in done.stderr
    assert not (tmp_path / "x").exists()
