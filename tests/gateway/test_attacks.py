"""The real gateway in front of the real App server, and everything a stranger or a guest might try."""

import base64
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from curate.gateway.limits import N_FAILURES
from curate.gateway.operators import DECIDING, OWN, READING
from tests.helpers.places import REPOSITORY
from tests.helpers.sharing import HOST, NAME, OTHER, SharedPage, Told, shared_page

pytestmark = pytest.mark.mongod
MIB = 1 << 20
ENCLOSED = """
import sys
from pathlib import Path
from curate.store import server
from curate.store.enclosure import enclose
def refuses(work):
    try:
        work()
    except ValueError:
        return True
    return False
with server.connect(Path(sys.argv[1])):
    import fiftyone as fo
    import fiftyone.core.odm as foo
    from fiftyone.core.aggregations import Aggregation
    from fiftyone.core.stages import ViewStage
    name, other = sys.argv[2:]
    other_id = str(foo.get_db_conn().datasets.find_one({"name": other})["_id"])
    enclose(name)
    made = [{"_cls": kind, "kwargs": kwargs} for kind, kwargs in (
        ("subprocess.Popen", [["args", ["touch", "/tmp/never"]]]),
        ("fiftyone.core.stages.Mongo", [["pipeline", [{"$lookup": {}}]]]),
        ("fiftyone.core.stages.Match", [["filter", {"$where": "1"}]]),
    )]
    assert fo.list_datasets() == [name]
    assert len(fo.load_dataset(name)) == 6
    assert refuses(lambda: fo.load_dataset(other))
    assert refuses(lambda: foo.load_dataset(id=other_id))
    assert refuses(lambda: fo.Dataset("new"))
    for each in made:
        assert refuses(lambda: ViewStage._from_dict(each)), each
        assert refuses(lambda: Aggregation._from_dict(each)), each
    assert len(fo.load_dataset(name).limit(2)) == 2
    print("enclosed")
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPage]:
    with shared_page(tmp_path_factory.mktemp("shared")) as page:
        yield page


@pytest.fixture(scope="module")
def ann(shared: SharedPage) -> str:
    """The session of one who decides."""
    return shared.session(shared.token("Ann"))


@pytest.fixture(scope="module")
def reader(shared: SharedPage) -> str:
    """The session of one who looks."""
    return shared.session(shared.token("Rea", "reading"))


def graphql(text: str, **variables: Any) -> dict[str, Any]:
    return {"query": text, "variables": variables}


def first(shared: SharedPage, session: str) -> dict[str, Any]:
    """The first sample, as the page learns it."""
    inner = "... on SampleItemStrConnection { edges { node { ... on ImageSample { id sample } } } }"
    text = "query q($d: String!) { samples(dataset: $d, view: [], first: 1) { %s } }".replace("%s", inner)
    told = shared.ask("POST", "/graphql", graphql(text, d=NAME), session)
    node: dict[str, Any] = told.json["data"]["samples"]["edges"][0]["node"]
    return node


def first_id(shared: SharedPage, session: str) -> str:
    """Its document id."""
    return str(first(shared, session)["id"])


def decided(shared: SharedPage, session: str, place: str = NAME, **headers: str) -> Told:
    """Ask that the first sample is stored as normal."""
    params = {"operator": "accept_normal", "ids": [first_id(shared, session)]}
    body = {"operator_uri": "@curate/triage/keys_decide", "dataset_name": place, "params": params, "view": []}
    return shared.ask("POST", "/operators/execute", body, session, **headers)


def media(shared: SharedPage, session: str, path: Path | str, **headers: str) -> Told:
    return shared.ask("GET", f"/media?filepath={quote(str(path), safe='')}", session=session, **headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/datasets/assets/index.js"), ("GET", "/media?filepath=/etc/passwd"), ("POST", "/graphql"),
        ("POST", "/operators/execute"), ("POST", "/events"), ("PATCH", "/dataset/x/sample/y"), ("GET", "/x"),
        ("GET", "/plugins"), ("POST", "/aggregate"), ("DELETE", "/"), ("POST", "/curate/x"),
    ],
)  # fmt: skip
def test_without_a_token_nothing_is_told(shared: SharedPage, method: str, path: str) -> None:
    told = shared.ask(method, path, {} if method in ("POST", "PATCH") else None)
    assert (told.status, told.body) == (401, b"Log in first.\n")
    assert shared.ask(method, path, {}, session="A" * 43).status == 401


def test_the_login_page_loads_nothing_and_goes_nowhere_else(shared: SharedPage) -> None:
    told = shared.ask("GET", "/")
    assert told.status == 401 and b"Access token" in told.body
    assert "default-src 'none'" in told.headers["content-security-policy"]
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["x-content-type-options"] == "nosniff"
    assert b"src=" not in told.body and told.body.count(b"href=") == 0
    token = shared.token("Nex", "reading")
    for wanted in (
        "https://evil.example/",
        "//evil.example/",
        "/login",
        shared.page + "/../x",
        "javascript:x",
    ):
        form = f"token={token}&next={quote(wanted, safe='')}".encode()
        kind = {"Content_Type": "application/x-www-form-urlencoded", "Origin": shared.origin}
        answer = shared.ask("POST", "/login", raw=form, **kind)
        assert answer.headers["location"] == shared.page + shared.opening
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "secure", "samesite=strict", "path=/", "__host-"))


def test_wrong_tokens_are_refused_alike_and_then_held_back(shared: SharedPage, ann: str) -> None:
    source = "127.0.0.2"
    answers = [shared.log_in(f"curate_{number}", source) for number in range(N_FAILURES)]
    assert {(told.status, told.body) for told in answers} == {(401, answers[0].body)}
    late = shared.log_in("curate_x", source)
    assert late.status == 429 and 0 < int(late.headers["retry-after"]) <= 900
    assert shared.ask("GET", "/plugins", source=source, Authorization="Bearer x").status == 429
    good = shared.token("Lat")
    assert shared.log_in(good, source).status == 429  # nor does a right one tell itself from wrong ones
    assert shared.ask("GET", "/plugins", session=ann, source=source).status == 200  # who is in stays in
    assert shared.log_in(good).status == 303  # others are not held back


def test_a_script_brings_its_token_along(shared: SharedPage) -> None:
    token = shared.token("Bot", "reading")
    assert shared.ask("GET", "/", Authorization=f"Bearer {token}").status == 303
    for wrong in (f"Bearer {token}x", f"Basic {token}", token, "Bearer", "Bearer " + "x" * 4000):
        assert shared.ask("GET", "/plugins", source="127.0.0.4", Authorization=wrong).status == 401
    shared.revoke("Bot")
    assert shared.ask("GET", "/plugins", source="127.0.0.5", Authorization=f"Bearer {token}").status == 401


def test_files_of_the_dataset_are_served_and_no_others(shared: SharedPage, ann: str) -> None:
    image, mask = shared.root / "images" / "good-00.png", next((shared.root / "masks").glob("*.png"))
    told = media(shared, ann, image)
    assert told.status == 200 and told.body == image.read_bytes()
    assert media(shared, ann, mask).status == 200
    assert media(shared, ann, next((shared.root / "detectors").glob("*/display/*.png"))).status == 200
    part = media(shared, ann, image, Range="bytes=10-19")
    assert (part.status, part.body) == (206, image.read_bytes()[10:20])
    assert media(shared, ann, "/etc/passwd").status == 403
    assert media(shared, ann, f"{shared.root}/masks/../../../../../../../etc/passwd").status == 403
    for name in ("access.json", "access.log", "verdicts.jsonl", "images/../access.json"):
        (shared.root / name).touch()
        assert media(shared, ann, shared.root / name).status == 403
    other = shared.other / "images" / "good-00.png"
    assert other.exists() and media(shared, ann, other).status == 403
    assert media(shared, ann, next((shared.other / "masks").glob("*.png"))).status == 403
    link = shared.root / "masks" / "link.png"
    link.symlink_to(other)
    assert media(shared, ann, link).status == 403
    (shared.root / "masks" / "folder.png").symlink_to("/etc")
    assert media(shared, ann, shared.root / "masks" / "folder.png" / "passwd").status == 403


@pytest.mark.parametrize(
    "target",
    [
        "/media?filepath=%252Fetc%252Fpasswd", "/media?filepath=..%2f..%2f..%2fetc%2fpasswd",
        "/media?filepath=/etc/passwd%00.png", "/media?filepath=file:///etc/passwd",
        "/media/?filepath=/etc/passwd", "/%6dedia?filepath=/etc/passwd",
        "/%2e%2e/media?filepath=/etc/passwd", "/media?filepath=/proc/self/environ",
        "/media;x?filepath=/etc/passwd", "/datasets/../media?filepath=/etc/passwd",
        "//media?filepath=/etc/passwd", "/datasets/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/datasets/assets/%2e%2e/%2e%2e/app.py", "/plugins/triage/__init__.py", "/plugins/%2e%2e/app.py",
        "/plugins/..%5capp.py", "/media%3ffilepath=/etc/passwd",
    ],
)  # fmt: skip
def test_no_way_of_writing_a_path_leads_out(shared: SharedPage, ann: str, target: str) -> None:
    told = shared.ask("GET", target, session=ann)
    assert told.status == 403 and b"root:" not in told.body and b"import" not in told.body


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


def test_a_decision_is_stored_under_the_name_of_the_token(shared: SharedPage, ann: str) -> None:
    smuggled = {"X_Curate_User": "Mallory", "X_Curate_Gateway": "x", "X_Forwarded_For": "10.0.0.1"}
    told = decided(shared, ann, **smuggled)
    assert told.status == 200 and told.json["result"]["n_verdicts"] == 1, told
    assert shared.verdicts()[-1]["by"] == "Ann"


def test_a_drawn_region_is_stored_and_a_file_is_never_named(shared: SharedPage, ann: str) -> None:
    node = first(shared, ann)
    at = datetime.fromtimestamp(node["sample"]["last_modified_at"]["datetime"] / 1000, UTC)
    etag = base64.b64encode(at.replace(tzinfo=None).isoformat().encode()).decode()
    region = {"_cls": "Detection", "label": "defect", "bounding_box": [0.1, 0.1, 0.2, 0.2]}
    path = f"/dataset/{shared.dataset_id}/sample/{node['id']}"

    def patched(field: str, value: Any) -> Told:
        body = [{"op": "add", "path": f"/{field}", "value": value}]
        kind = "application/json-patch+json"
        return shared.ask("PATCH", path, body, ann, Content_Type=kind, If_Match=f'"{etag}"')

    told = patched(
        "padim_proposals", {"_cls": "Detections", "detections": [region | {"mask_path": "/etc/x"}]}
    )
    assert (told.status, b"where a file is" in told.body) == (403, True)
    assert patched("filepath", "/etc/passwd").status == 403
    assert patched("ground_truth", None).status == 403
    told = patched("padim_proposals", {"_cls": "Detections", "detections": [region]})
    assert told.status == 200 and "etag" in told.headers, told
    stored = first(shared, ann)["sample"]["padim_proposals"]["detections"]
    assert [each["bounding_box"] for each in stored] == [[0.1, 0.1, 0.2, 0.2]]
    assert media(shared, ann, "/etc/passwd").status == 403


def test_every_operator_of_ours_is_in_the_table(shared: SharedPage, ann: str) -> None:
    told = shared.ask("POST", "/operators", {"dataset_name": NAME}, ann).json
    own = {operator["uri"] for operator in told["operators"] if operator["uri"].startswith(OWN)}
    assert own == {uri for uri in READING | DECIDING if uri.startswith(OWN)}
    assert not READING & DECIDING and told["errors"] == []


def test_who_only_looks_looks_and_changes_nothing(shared: SharedPage, ann: str, reader: str) -> None:
    def ask(method: str, path: str, body: Any) -> Told:
        return shared.ask(method, path, body, reader)

    ident, before = first_id(shared, ann), len(shared.verdicts())
    patch = [{"op": "add", "path": "/padim_proposals", "value": None}]
    refused = [
        ask("PATCH", f"/dataset/{shared.dataset_id}/sample/{ident}", patch),
        ask("POST", "/tag", {"dataset": NAME, "view": [], "sample_ids": [ident], "changes": {"mine": True}}),
        ask(
            "POST", "/graphql", graphql('mutation { deleteSavedView(viewName: "decided", datasetName: "x") }')
        ),
        *(
            ask("POST", "/operators/execute", {"operator_uri": uri, "dataset_name": NAME, "params": params})
            for uri, params in (
                ("@curate/triage/keys_decide", {"operator": "accept_normal", "ids": [ident]}),
                ("@curate/triage/accept_normal", {}),
                ("@curate/triage/undo", {}),
                ("@voxel51/operators/delete_selected_samples", {}),
            )
        ),
    ]
    assert {told.status for told in refused} == {403}
    assert len(shared.verdicts()) == before
    begun = ask(
        "POST", "/operators/execute", {"operator_uri": "@curate/triage/keys_begin", "dataset_name": NAME}
    )
    assert begun.status == 200 and "stain" in begun.json["result"]["defect_types"]


def test_another_dataset_is_not_there(shared: SharedPage, ann: str) -> None:
    def asked(path: str, body: Any) -> Told:
        return shared.ask("POST", path, body, ann)

    listing = "query q($s: String!) { datasets(search: $s) { edges { node { name } } } }"
    for search, expected in (("", [NAME]), (OTHER, []), ("r", [NAME])):
        told = asked("/graphql", graphql(listing, s=search)).json["data"]["datasets"]["edges"]
        assert [edge["node"]["name"] for edge in told] == expected
    text = "query q($n: String!) { a: dataset(name: $n) { id } }"
    own = asked("/graphql", graphql(text, n=shared.page.split("/")[-1]))
    assert own.json["data"]["a"]["id"]
    assert shared.ask("GET", f"/datasets/{OTHER}", session=ann).status == 403
    operator = {"operator_uri": "@curate/triage/keys_begin", "dataset_name": OTHER, "params": {}}
    for path, body in (
        ("/graphql", graphql(text, n=OTHER)),
        ("/graphql", [graphql(text, n=NAME), graphql(text, n=OTHER)]),
        ("/graphql", graphql(f'{{ a: dataset(name: "{OTHER}") {{ id }} }}')),
        ("/operators/execute", operator),
        ("/operators/execute", operator | {"dataset_name": NAME, "dataset_id": "b" * 24}),
        ("/aggregate", {"dataset": OTHER, "view": [], "aggregations": []}),
        ("/events", {"initializer": {"dataset": OTHER}, "events": [], "subscription": "x"}),
    ):
        assert asked(path, body).status == 403, (path, body)


def test_a_request_cannot_run_a_program(shared: SharedPage, ann: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    stage = {"_cls": "subprocess.Popen", "kwargs": [["args", ["touch", str(made)]]]}
    text = "query q($d: String!, $v: BSONArray!) { samples(dataset: $d, view: $v) { __typename } }"
    extended = {"subprocess.Popen": {"args": ["touch", str(made)]}}
    for path, body in (
        ("/aggregate", {"dataset": NAME, "view": [stage], "aggregations": []}),
        ("/aggregate", {"dataset": NAME, "view": [], "aggregations": [stage]}),
        ("/values", {"dataset": NAME, "path": "label", "extended": extended}),
        ("/graphql", graphql(text, d=NAME, v=[stage])),
    ):
        told = shared.ask("POST", path, body, ann)
        assert told.status != 200 or b"errors" in told.body, (path, told)
    time.sleep(0.3)
    assert not made.exists()


def test_where_the_work_is_done_other_datasets_and_classes_do_not_exist_either(shared: SharedPage) -> None:
    command = [sys.executable, "-c", ENCLOSED, str(shared.home), NAME, OTHER]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout.strip().endswith("enclosed"), done.stderr[-1500:]


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


def exchanged(shared: SharedPage, request: bytes) -> bytes:
    """What comes back for these very bytes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection((HOST, shared.port), timeout=10)) as wire:
        wire.sendall(request)
        found = b""
        while piece := wire.recv(65536):
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


def listened(shared: SharedPage, session: str, heard: list[bytes], ended: threading.Event) -> None:
    """Open the page's stream of events, and keep what comes."""
    body = {"initializer": {"dataset": NAME}, "events": ["state_update"], "subscription": "test"}
    headers = {
        "Content-Type": "text/event-stream", "Origin": shared.origin, "Cookie": f"{shared.cookie}={session}"
    }  # fmt: skip
    connection = shared.connection()
    connection.request("POST", "/events", json.dumps(body), headers)
    answer = connection.getresponse()
    while piece := answer.read1(65536):
        heard.append(piece)
    connection.close()
    ended.set()


def test_a_revoked_token_ends_sessions_and_open_streams_at_once(shared: SharedPage, reader: str) -> None:
    session = reader
    heard: list[bytes] = []
    ended = threading.Event()
    threading.Thread(target=listened, args=(shared, session, heard, ended), daemon=True).start()
    limit = time.monotonic() + 20
    while not heard and time.monotonic() < limit:
        time.sleep(0.05)
    assert b"state_update" in heard[0]  # it comes at once, not when the answer is whole
    shared.revoke("Rea")
    assert shared.ask("GET", "/plugins", session=session).status == 401
    assert ended.wait(10)


def test_logging_out_ends_the_session(shared: SharedPage) -> None:
    told = shared.log_in(shared.token("Out", "reading"))
    session = told.headers["set-cookie"].split(";")[0].partition("=")[2]
    assert b"Out" in shared.ask("GET", "/login", session=session).body
    assert (
        shared.ask("POST", "/logout", session=session, raw=b"", Origin="https://evil.example").status == 403
    )
    assert b"Out" in shared.ask("GET", "/login", session=session).body
    assert shared.ask("POST", "/logout", session=session, raw=b"", Origin=shared.origin).status == 303
    assert b"Access token" in shared.ask("GET", "/login", session=session).body


def test_one_person_too_many_is_told(shared: SharedPage, ann: str) -> None:
    names = [f"Many{number}" for number in range(4)]
    sessions = [shared.log_in(shared.token(name)).headers["set-cookie"].split(";")[0] for name in names]
    pages = [shared.ask("GET", shared.page, session=session.partition("=")[2]) for session in sessions]
    assert b"No place is free" in pages[-1].body and pages[-1].status == 503


def test_the_log_tells_who_did_what_and_no_secret(shared: SharedPage, ann: str) -> None:
    text = (shared.root / "access.log").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert any(row["person"] == "Ann" and row["what"] == "@curate/triage/keys_decide" for row in rows)
    assert any(row["status"] == 403 and "another dataset" in row["what"] for row in rows)
    assert any(row["status"] == 401 and row["what"] == "login: wrong token" for row in rows)
    assert any(row["status"] == 403 and "file that is not of the dataset" in row["what"] for row in rows)
    assert all(row["status"] for row in rows if row["path"] != "/events")
    assert "curate_" not in text and ann not in text and "filepath" not in text
