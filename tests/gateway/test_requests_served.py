"""Requests of other origins and other names, too large ones, and ones that can be read two ways."""

import socket
import ssl
import struct
from collections.abc import Iterator

import psutil
import pytest
from h2.connection import H2Connection

from tests.helpers.asking import decided
from tests.helpers.sharing import HOST, NAME, SharedPage

pytestmark = pytest.mark.mongod
MIB = 1 << 20


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"https://{HOST}:1"},
        {"Origin": f"http://{HOST}"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
        {"Origin": "", "Sec_Fetch_Site": "", "Referer": "https://evil.example/x"},
        {"Origin": "", "Sec_Fetch_Site": ""},
    ],
)  # fmt: skip
def test_an_operator_call_from_another_origin_is_refused(
    shared: SharedPage, ann: str, headers: dict[str, str]
) -> None:
    before = len(shared.verdicts())
    told = decided(shared, ann, **headers)
    assert told.status == 403, told
    assert len(shared.verdicts()) == before


def test_a_form_of_another_page_is_refused(shared: SharedPage, ann: str) -> None:
    body = {"operator_uri": "@curate/triage/undo", "dataset_name": NAME, "params": {}}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        told = shared.ask("POST", "/operators/execute", body, ann, Content_Type=kind)
        assert told.status == 415
    assert shared.log_in("x", source="127.0.0.6", Origin="https://evil.example").status == 403


def test_bodies_that_are_too_large_are_refused_whatever_they_say(shared: SharedPage, ann: str) -> None:
    told = shared.ask("POST", "/graphql", {}, ann, Content_Length=str(9 * MIB))
    assert told.status == 413

    connection = shared.connection()
    headers = {
        "Content-Type": "application/json",
        "Origin": shared.origin,
        "Cookie": f"{shared.cookie}={ann}",
    }
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += MIB
            yield b" " * MIB

    try:
        connection.request("POST", "/graphql", pieces(), headers, encode_chunked=True)
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        status = 413  # it hung up in the middle
    connection.close()
    assert status == 413 and sent < 64 * MIB
    assert shared.ask("GET", "/plugins", session=ann, X_Long="x" * 20_000).status == 431
    assert shared.ask("GET", "/plugins?" + "a=1&" * 50, session=ann).status == 400
    assert shared.ask("GET", "/plugins?" + "a" * 9000, session=ann).status == 414


def test_another_host_name_is_refused(shared: SharedPage, ann: str) -> None:
    for host in (
        "evil.example",
        f"evil.example:{shared.port}",
        f"{HOST}@evil.example",
        "",
        "localhost.evil.example",
    ):
        assert shared.ask("GET", shared.page, session=ann, Host=host or " ").status in (400, 421), host
    own = f"localhost:{shared.port}"
    assert shared.ask("GET", shared.page, session=ann, Host=own).status == 200


def exchanged(shared: SharedPage, request: bytes, until: bytes = b"never") -> bytes:
    """What comes back for these very bytes, all of it or until something has come."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection((HOST, shared.port), timeout=10)) as wire:
        wire.sendall(request)
        found = b""
        while until not in found and (piece := wire.recv(65536)):
            found += piece
    return found


@pytest.mark.parametrize(
    "extra",
    [
        b"Host: evil.example\r\n", b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Origin: null\r\nOrigin: x\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length: -1\r\n", b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
    ],
)  # fmt: skip
def test_requests_that_can_be_read_two_ways_are_refused(shared: SharedPage, extra: bytes) -> None:
    head = f"POST /graphql HTTP/1.1\r\nHost: {HOST}:{shared.port}\r\nConnection: close\r\n".encode()
    told = exchanged(shared, head + extra + b"\r\n0\r\n\r\nGET /plugins HTTP/1.1\r\nHost: x\r\n\r\n")
    assert told.count(b"HTTP/1.1 ") == 1
    assert told.split()[1] in (b"400", b"401", b"501"), told[:200]


def test_nobody_changes_to_another_protocol(shared: SharedPage) -> None:
    here = f"{HOST}:{shared.port}"
    wanted = [(":method", "GET"), (":path", "/login"), (":scheme", "https"), (":authority", here)]
    own = H2Connection()
    own.initiate_connection()
    own.send_headers(1, wanted, end_stream=True)
    assert b"html" not in exchanged(shared, own.data_to_send())
    assert b"html" in exchanged(
        shared, f"GET /login HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n".encode()
    )
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
    request = f"GET /login HTTP/1.1\r\nHost: {here}\r\n{upgrade}\r\n\r\n".encode()
    assert b"Only HTTP/1.1 is spoken here" in exchanged(shared, request, b"spoken here")


def test_broken_connections_leave_nothing_on_the_terminal(shared: SharedPage) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    log = shared.home.parent / "serve.log"
    before = log.stat().st_size
    for sent in (b"\x00" * 3000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx", b"GET / HTTP/1.1\r\n"):
        with context.wrap_socket(socket.create_connection((HOST, shared.port), timeout=10)) as wire:
            wire.sendall(sent)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection((HOST, shared.port), timeout=10) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wire.recv(100)
    assert shared.ask("GET", "/login").status == 200
    assert "Traceback" not in log.read_text()[before:]


def test_nobody_goes_around_the_gateway(shared: SharedPage, ann: str) -> None:
    gateway = psutil.Process(shared.process.pid)
    listening = {
        (c.laddr.ip, c.laddr.port)
        for process in (gateway, *gateway.children(recursive=True))
        for c in process.net_connections("inet")
        if c.status == "LISTEN"
    }
    assert {address for address, _ in listening} == {HOST}
    behind = [port for _, port in listening if port != shared.port]
    assert behind
    for port in behind:
        with socket.create_connection((HOST, port), timeout=10) as wire:
            wire.sendall(
                f"GET {shared.page} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode()
            )
            assert b" 403 " in wire.recv(1000).splitlines()[0]


def test_one_person_too_many_is_told(shared: SharedPage, ann: str) -> None:
    """The last of all: the servers of the others have to make room."""
    names = [f"Many{number}" for number in range(4)]
    sessions = [shared.log_in(shared.token(name)).headers["set-cookie"].split(";")[0] for name in names]
    pages = [shared.ask("GET", shared.page, session=session.partition("=")[2]) for session in sessions]
    assert b"No place is free" in pages[-1].body and pages[-1].status == 503
