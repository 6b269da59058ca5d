"""The real gateway in front of the real App server, and everything a guest might try."""

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from curate.gateway.operators import DECIDING, OWN, READING
from tests.helpers.asking import decided, first, first_id, graphql, media
from tests.helpers.places import REPOSITORY
from tests.helpers.sharing import NAME, OTHER, SharedPage, Told

pytestmark = pytest.mark.mongod
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


def test_the_log_tells_who_did_what_and_no_secret(shared: SharedPage, ann: str) -> None:
    assert decided(shared, ann).status == 200
    assert shared.ask("POST", "/aggregate", {"dataset": OTHER}, ann).status == 403
    assert shared.log_in("curate_wrong", source="127.0.0.7").status == 401
    assert media(shared, ann, "/etc/passwd").status == 403
    text = (shared.root / "access.log").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert any(row["person"] == "Ann" and row["what"] == "@curate/triage/keys_decide" for row in rows)
    assert any(row["status"] == 403 and "another dataset" in row["what"] for row in rows)
    assert any(row["status"] == 401 and row["what"] == "login: wrong token" for row in rows)
    assert any(row["status"] == 403 and "file that is not of the dataset" in row["what"] for row in rows)
    assert all(row["status"] for row in rows if row["path"] != "/events")
    assert "curate_" not in text and ann not in text and "filepath" not in text
