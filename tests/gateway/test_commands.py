"""curate access, and curate triage --host before it serves."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli import _register, app
from curate.errors import CurateError
from curate.gateway.server import Place, address_of, check_certificate, opened
from curate.steps.share import place_of
from tests.helpers.sharing import certificate

RUNNER = CliRunner()


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    if not app.registered_commands:
        _register()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with a dataset; access needs no more of it than that it is there."""
    root = tmp_path / "home" / "datasets" / "tiles"
    root.mkdir(parents=True)
    (root / "samples.parquet").touch()
    return tmp_path / "home"


def ran(home: Path, *arguments: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, [*arguments, "--home", str(home)])
    return done.exit_code, done.stdout, done.stderr


def test_people_are_let_in_listed_and_let_out(home: Path) -> None:
    code, out, _ = ran(home, "access", "add", "tiles", "Ann")
    token = out.splitlines()[0]
    assert code == 0 and re.fullmatch(r"curate_[\w-]{32}", token) and 'Ann decide in "tiles"' in out
    code, out, _ = ran(home, "access", "add", "tiles", "Bob", "--read-only", "--days", "3", "--json")
    assert code == 0 and json.loads(out)["role"] == "reading"
    assert ran(home, "access", "add", "tiles", "Ann")[0] == 1
    assert ran(home, "access", "revoke", "tiles", "Ann")[0] == 0
    code, out, err = ran(home, "access", "revoke", "tiles", "Ann")
    assert code == 1 and "hold: Bob" in err
    code, out, _ = ran(home, "access", "list", "tiles")
    lines = out.splitlines()
    assert re.match(r"Ann  deciding  revoked  since ", lines[0])
    assert re.match(r"Bob  reading   holds    since .*, until ", lines[1])
    written = "".join(p.read_text() for p in home.rglob("*") if p.is_file() and p.suffix == ".json")
    assert token not in written


def test_a_dataset_that_is_not_there_is_said(home: Path) -> None:
    code, _, err = ran(home, "access", "list", "tyles")
    assert code == 1 and "tiles" in err


@pytest.mark.parametrize("option", [["--cert", "x"], ["--key", "x"], ["--name", "x"], ["--insecure"]])
def test_what_belongs_to_a_shared_page_needs_a_host(home: Path, option: list[str]) -> None:
    code, _, err = ran(home, "triage", "tiles", *option)
    assert code == 2 and "belong to --host" in err


def test_beyond_this_machine_a_certificate_is_needed_or_the_word(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "lab.example"):
        with pytest.raises(ValueError, match="--insecure"):
            place_of(host, 0, None, None, [], False)
        assert not place_of(host, 0, None, None, [], True).tls
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.9"):
        assert place_of(host, 0, None, None, [], False).host == host
    cert, key = certificate(tmp_path)
    assert place_of("0.0.0.0", 0, cert, key, ["lab"], False) == Place("0.0.0.0", 0, cert, key, ("lab",))
    with pytest.raises(ValueError, match="belong together"):
        place_of("0.0.0.0", 0, cert, None, [], False)


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other_key = certificate(tmp_path / "other")
    (tmp_path / "text.pem").write_text("nothing")
    for one, two in (
        (cert, other_key),
        (key, cert),
        (tmp_path / "text.pem", key),
        (tmp_path / "absent", key),
    ):
        with pytest.raises(CurateError, match=r"PEM form.*docs/sharing\.md"):
            check_certificate(one, two)


def test_an_address_that_cannot_be_listened_on_is_named() -> None:
    with opened(Place("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(CurateError, match=f"port {port} cannot be listened on"):
            opened(Place("127.0.0.1", port))
    with pytest.raises(CurateError, match=r"192\.0\.2\.1 port 0"):
        opened(Place("192.0.2.1", 0))


def test_the_address_is_one_that_people_can_type() -> None:
    assert address_of(Place("0.0.0.0", 0, names=("lab",)), 80, "/x") == "http://lab:80/x"
    assert address_of(Place("::1", 0, Path("c"), Path("k")), 443, "/x") == "https://[::1]:443/x"
