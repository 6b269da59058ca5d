"""Certificates that have ended, or do not hold yet, are refused before the page is served."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from curate.errors import CurateError
from curate.gateway.server import check_certificate
from curate.gateway.validity import ends_soon, need_valid, validities
from tests.helpers.sharing import certificate

DAY = timedelta(days=1)


def by_openssl(path: Path) -> tuple[datetime, datetime]:
    """From when to when the first certificate of a file holds."""
    command = ["openssl", "x509", "-in", str(path), "-noout", "-dates"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    first, last = (
        datetime.strptime(line.partition("=")[2], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        for line in lines
    )
    return first, last


def ended(folder: Path) -> tuple[Path, Path]:
    """A certificate that ended a day ago, and its key."""
    _, key = certificate(folder)
    old, request = folder / "old.pem", folder / "request.pem"
    subject = ["openssl", "req", "-new", "-key", str(key), "-subj", "/CN=localhost", "-out", str(request)]
    signed = ["openssl", "x509", "-req", "-in", str(request), "-signkey", str(key), "-days", "-1"]
    for command in (subject, [*signed, "-out", str(old)]):
        subprocess.run(command, check=True, capture_output=True)
    return old, key


@pytest.mark.parametrize("days", [2, 30_000])  # written with two digits of the year, and with four
def test_the_times_are_those_that_openssl_reads(tmp_path: Path, days: int) -> None:
    _, key = certificate(tmp_path)
    path = tmp_path / "long.pem"
    command = ["openssl", "req", "-x509", "-key", str(key), "-subj", "/CN=x", "-days", str(days)]
    subprocess.run([*command, "-out", str(path)], check=True, capture_output=True)
    assert validities(path) == [by_openssl(path)]


def test_a_certificate_that_has_ended_is_refused_at_the_start(tmp_path: Path) -> None:
    cert, key = ended(tmp_path)
    last = by_openssl(cert)[1]
    assert last < datetime.now(UTC)
    with pytest.raises(CurateError, match=rf"old\.pem ended on {last:%Y-%m-%d %H:%M} UTC.*docs/sharing\.md"):
        check_certificate(cert, key)


def test_a_certificate_holds_from_its_first_to_its_last_moment_and_no_longer(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)
    first, last = by_openssl(cert)
    for moment in (first, last):
        need_valid(cert, moment)
    with pytest.raises(CurateError, match=r"cert\.pem holds from .* on; now it is .*this machine's clock"):
        need_valid(cert, first - DAY)
    with pytest.raises(CurateError, match="ended on"):
        need_valid(cert, last + timedelta(seconds=1))


def test_every_certificate_of_a_chain_has_to_hold(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    own, _ = certificate(tmp_path / "own")
    old, _ = ended(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_text(own.read_text() + "a remark\n" + old.read_text())
    with pytest.raises(CurateError, match=r"certificate 2 in .*chain\.pem ended"):
        need_valid(chain, datetime.now(UTC))


def test_one_that_ends_within_two_weeks_is_told(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)
    last = by_openssl(cert)[1]
    assert f"ends on {last:%Y-%m-%d %H:%M} UTC" in ends_soon(cert, datetime.now(UTC))
    assert ends_soon(cert, last - 15 * DAY) == ""


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"])
def test_a_file_that_says_no_time_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.pem").write_text(content)
    with pytest.raises(CurateError, match=r"odd\.pem.*docs/sharing\.md"):
        validities(tmp_path / "odd.pem")
