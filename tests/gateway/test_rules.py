"""What may be asked of the App's server, and the many ways to ask for more."""

import time
from typing import Any

import pytest

from curate.gateway.content import DEEPEST, breaches
from curate.gateway.operators import DECIDING, READING
from curate.gateway.rules import Asked, judge
from tests.helpers.tiles import NAMES, OTHER_ID, OWN_ID, SAMPLE, SHARED, stage


def refused(method: str, path: str, body: Any = None, query: Any = (), deciding: bool = True) -> str | None:
    return judge(Asked(method, path, tuple(query), body), SHARED, deciding).refused


def run(uri: str, deciding: bool = True, **more: Any) -> str | None:
    body = {"operator_uri": uri, "dataset_name": "Tiles.1", "params": {}, **more}
    return refused("POST", "/operators/execute", body, deciding=deciding)


@pytest.mark.parametrize(
    "path",
    [
        "/datasets/Tiles.1", "/datasets/assets/index-a1B2.js", "/assets/index.css", "/datasets/favicon.ico",
        "/plugins", "/plugins/triage/keys.js", "/plugins/common/server.js",
        "/plugins/triage/dist/index.umd.js", "/fiftyone", "/features",
        "/curate/next",
    ],
)  # fmt: skip
def test_what_the_page_reads_is_passed_on_to_everybody(path: str) -> None:
    assert refused("GET", path, deciding=False) is None
    assert refused("HEAD", path, deciding=False) is None


@pytest.mark.parametrize(
    "path",
    [
        "/", "/datasets/other", "/datasets/tiles-1", "/datasets/Tiles.1/", "/datasets/Tiles.1/x",
        "/graphql", "/events",
        "/datasets/assets/../../x", "/datasets/assets/%2e%2e/x", "/assets/..%2f..%2fetc/passwd",
        "//evil.example/",
        "/plugins/triage/__init__.py", "/plugins/triage/fiftyone.yml", "/plugins/../app.py",
        "/assets/.htaccess",
        "/screenshot/a.png", "/runtime-assets/models/sam2/x", "/ontologies", "/embeddings/plot", "/MEDIA",
        "/media/",
        "/curate/../media", "/curate/a b", "/assets/a\x00.js", "/assets/a\\b.js", "/assets/ä.js", "/docs",
        f"/dataset/{OWN_ID}/sample/{SAMPLE}", f"/dataset/{OWN_ID}/sample/{SAMPLE}/tags", "/operators",
    ],
)  # fmt: skip
def test_other_addresses_are_not_read(path: str) -> None:
    assert refused("GET", path)


def test_one_file_is_asked_for_at_a_time() -> None:
    assert refused("GET", "/media", query=[("filepath", "/x/a.png")]) is None
    assert refused("GET", "/media")
    assert refused("GET", "/media", query=[("filepath", "/x/a.png"), ("filepath", "/etc/passwd")])
    assert refused("GET", "/media", query=[("filepath", "/x/a.png"), ("url", "http://x")])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "POSTS", "get"])
def test_other_methods_are_refused(method: str) -> None:
    assert refused(method, "/datasets/Tiles.1")
    assert refused(method, f"/dataset/{OWN_ID}/sample/{SAMPLE}", {})


@pytest.mark.parametrize("uri", sorted(READING))
def test_everybody_runs_what_reads(uri: str) -> None:
    assert run(uri, deciding=False) is None


@pytest.mark.parametrize("uri", sorted(DECIDING))
def test_only_who_may_decide_runs_what_decides(uri: str) -> None:
    assert run(uri, deciding=True) is None
    assert "only lets look" in str(run(uri, deciding=False))


@pytest.mark.parametrize(
    "uri",
    [
        "@voxel51/operators/delete_selected_samples", "@voxel51/operators/list_files", "delete_dataset",
        "@voxel51/operators/download_file", "@voxel51/operators/clone_selected_samples", "keys_begin", "",
        "@voxel51/operators/edit_field_values", "@voxel51/operators/set_active_label_schemas",
        "@curate/new/thing",
        "@voxel51/panels/similarity_search_panel", "@curate/triage/KEYS_DECIDE",
        "@curate/triage/keys_decide ",
    ],
)  # fmt: skip
def test_other_operators_are_run_for_nobody(uri: str) -> None:
    assert run(uri)
    for path in (
        "/operators/resolve-type",
        "/operators/resolve-execution-options",
        "/operators/execute/generator",
    ):
        assert refused("POST", path, {"operator_uri": uri, "dataset_name": "Tiles.1"})


def test_an_operator_needs_its_dataset_and_runs_now() -> None:
    uri = "@curate/triage/keys_decide"
    assert run(uri, dataset_name=None)
    assert run(uri, dataset_name="other")
    assert run(uri, dataset_name="tiles-1")  # it would be taken for the name of a folder
    assert run(uri, params={"dataset": "other"})
    assert run(uri, dataset_id=OTHER_ID)
    assert run(uri, request_delegation=True)
    assert run(uri, num_distributed_tasks=4)
    assert run(uri, dataset_id=OWN_ID, request_delegation=False) is None
    assert refused("POST", "/operators/execute", {"operator_uri": [uri], "dataset_name": "Tiles.1"})
    assert refused("POST", "/operators/execute", [])
    assert refused("POST", "/operators/execute", None)


def test_embedding_on_request_is_begun_by_those_who_decide() -> None:
    uri = "@curate/compare/compare_embed"
    assert run(uri, deciding=False, params={}) is None
    assert run(uri, deciding=False, params={"start": True})
    assert run(uri, deciding=True, params={"start": True}) is None


def test_own_routes_read_by_get_and_decide_by_post() -> None:
    assert refused("GET", "/curate/next", deciding=False) is None
    assert refused("GET", "/curate/next", query=[("dataset", "other")])
    assert refused("POST", "/curate/decide", {"dataset": "Tiles.1"}, deciding=False)
    assert refused("POST", "/curate/decide", {"dataset": "Tiles.1"}) is None
    assert refused("POST", "/curate/decide", {"dataset": "other"})


PATCHED = f"/dataset/{OWN_ID}/sample/{SAMPLE}"
DRAWN = [
    {"op": "add", "path": "/padim_proposals/detections/0", "value": {"_cls": "Detection", "mask": "eJw"}}
]


def test_a_drawn_mask_is_stored_by_those_who_decide() -> None:
    assert refused("PATCH", PATCHED, DRAWN) is None
    assert refused("PATCH", PATCHED, DRAWN, deciding=False)
    inner = [{"op": "replace", "path": "/bounding_box", "value": [0, 0, 1, 1]}]
    assert refused("PATCH", f"{PATCHED}/padim_proposals.detections/{SAMPLE}", inner) is None
    assert refused("PATCH", f"{PATCHED}/boxes.detections/{SAMPLE}", inner)
    assert refused("PATCH", PATCHED, {"padim_proposals": None}) is None


@pytest.mark.parametrize(
    "body",
    [
        [{"op": "replace", "path": "/filepath", "value": "/etc/passwd"}],
        [{"op": "replace", "path": "/gt_mask/mask_path", "value": "/etc/passwd"}],
        [{"op": "copy", "from": "/filepath", "path": "/padim_proposals/detections/0/label"}],
        [{"op": "move", "from": "/gt_mask", "path": "/padim_proposals"}],
        [{"op": "replace", "path": "/padim_proposals/detections/0/mask_path", "value": "/etc/passwd"}],
        [{"op": "add", "path": "/padim_proposals", "value": {"detections": [{"mask_path": "/etc/shadow"}]}}],
        [{"op": "add", "path": "/padim_proposals", "value": {"_cls": "subprocess.Popen"}}],
        [{"op": "replace", "path": "/verdict", "value": "normal"}], [{"op": "remove", "path": ""}],
        [{"op": "replace", "path": "/padim_proposals~1x", "value": 1}], [{"op": "remove"}], ["x"], "x", None,
        {"filepath": "/etc/passwd"}, {"label": "normal"}, {"padim_proposals": {"mask_path": "/x"}},
    ],
)  # fmt: skip
def test_nothing_but_drawings_is_patched_and_no_file_is_named(body: Any) -> None:
    assert refused("PATCH", PATCHED, body)


def test_another_datasets_samples_are_not_patched() -> None:
    assert refused("PATCH", f"/dataset/{OTHER_ID}/sample/{SAMPLE}", DRAWN) == "another dataset"
    assert refused("PATCH", PATCHED, DRAWN, query=[("generated_dataset", "other")])
    assert refused("POST", f"{PATCHED}/commit-mask", {"field": "padim_proposals", "detection_id": SAMPLE})
    assert refused("PATCH", f"/dataset/Tiles.1/sample/{SAMPLE}", DRAWN)


@pytest.mark.parametrize("path", ["/aggregate", "/values", "/tagging", "/tag"])
def test_routes_of_fiftyone_stay_with_the_dataset(path: str) -> None:
    assert refused("POST", path, {"dataset": "Tiles.1", "view": []}) is None
    assert refused("POST", path, {"dataset": "other", "view": []})
    assert refused(
        "POST", path, {"dataset": "Tiles.1", "view": [stage("subprocess.Popen", ["args", ["id"]])]}
    )
    assert (refused("POST", path, {"dataset": "Tiles.1"}, deciding=False) is None) == (path != "/tag")


def test_listening_names_the_dataset_and_never_polls() -> None:
    assert (
        refused("POST", "/events", {"initializer": {"dataset": "tiles-1", "view": "x"}, "events": []}) is None
    )
    assert refused("POST", "/events", {"initializer": {"dataset": "other"}, "events": []})
    assert refused("POST", "/events", {"initializer": {"dataset": "tiles-1"}, "polling": True})
    assert refused("POST", "/event", {"event": "state_update", "data": {}})


@pytest.mark.parametrize(
    "value",
    [
        stage("os.system"), stage("fiftyone.core.stages.Mongo", ["pipeline", []]),
        stage("fiftyone.core.stages.Concat"), stage("fiftyone.core.dataset.delete_dataset"), stage("Popen"),
        {"_cls": ["fiftyone.core.stages.Match"]}, {"_cls": None}, [["_cls", "os.system"]],
        {"fiftyone.core.stages.Mongo": {}}, {"fiftyone.core.stages.SetField": {}},
        {"$lookup": {}}, {"$function": {"body": "x"}}, {"$where": "x"}, {"$out": "x"}, {"$unionWith": "x"},
        {"$merge": "x"}, {"a": [{"b": {"$accumulator": {}}}]}, {"$code": "x"}, {"$graphLookup": 1}, {"$ref":
        "x"},
        {"datasetName": "other"}, {"DATASET": "other"}, {"dataset_id": OTHER_ID}, {"dataset": {"$oid":
        OTHER_ID}},
        {"dataset": ["Tiles.1", "other"]}, {"dataset": 1}, {"a": {"src_dataset": "other"}},
    ],
)  # fmt: skip
def test_classes_operators_and_datasets_are_found_wherever_they_hide(value: Any) -> None:
    assert next(breaches(value, NAMES), None)
    assert next(breaches({"params": [{"deep": [value]}]}, NAMES), None)


def test_what_the_page_sends_passes() -> None:
    view = [
        stage("fiftyone.core.stages.Match", ["filter", {"$expr": {"$gte": ["$padim_score", 0.5]}}]),
        stage("fiftyone.core.stages.SortBy", ["field_or_expr", "padim_score"], ["reverse", True]),
    ]
    assert next(breaches({"dataset": "Tiles.1", "view": view}, NAMES), None) is None


def test_deep_and_endless_json_ends_soon() -> None:
    deep: Any = {}
    for _ in range(DEEPEST + 5):
        deep = [deep]
    start = time.process_time()
    assert next(breaches(deep, NAMES), None)
    assert next(breaches([0] * 600_000, NAMES), None)
    assert time.process_time() - start < 2
