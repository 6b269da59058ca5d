"""Which GraphQL documents may be sent to the App's server."""

import time
from typing import Any

import pytest

from curate.gateway import graphql
from tests.helpers.tiles import NAMES, stage


def asked(query: str, **variables: Any) -> str | None:
    return graphql.refused({"query": query, "variables": variables}, NAMES)


def test_queries_of_the_dataset_pass() -> None:
    text = (
        "query q($name: String!, $view: BSONArray) { dataset(name: $name, view: $view) { id name } version }"
    )
    assert asked(text, name="tiles-1", view=[]) is None
    assert asked(text, name="Tiles.1", view=[stage("fiftyone.core.stages.Limit", ["limit", 3])]) is None
    assert asked('query q($n: String = "Tiles.1") { dataset(name: $n) { id } }') is None
    setting = 'mutation m($d: String!) { setView(subscription: "x", datasetName: $d, view: []) }'
    assert asked(setting, d="Tiles.1") is None


@pytest.mark.parametrize(
    "text",
    [
        "mutation { deleteSavedView(viewName: \"a\", datasetName: \"Tiles.1\") }",
        "mutation { setView: deleteSavedView(viewName: \"a\", datasetName: \"Tiles.1\") }",
        "mutation { ...f } fragment f on Mutation { setSidebarGroups(dataset: \"Tiles.1\") }",
        "mutation { ... on Mutation { ... { createSavedView(viewName: \"x\") { id } } } }",
        "mutation { setSelected(subscription: \"x\", selected: []) updateSavedView(viewName: \"x\") { id } }",
        "mutation { setDatasetColorScheme(datasetName: \"Tiles.1\") }",
        "query { dataset(name: \"other\") { id } }", "query { a: dataset(name: \"tiles-1\") { id } "
        "b: dataset(name: \"other\") { id } }",
        "query { ... on Query { dataset(name: \"other\") { id } } }",
        "query q($n: String = \"other\") { dataset(name: $n) { id } }",
        "query { samples(dataset: \"other\", view: []) { __typename } }",
        "query { samples(dataset: \"Tiles.1\", view: [{_cls: \"os.system\", kwargs: []}]) { __typename } }",
        "query { aggregations(form: {dataset: \"other\", view: []}) { __typename } }",
        "query { lightning(input: {dataset: \"other\"}) { __typename } }",
        "query { __schema { types { name } } }", "query { __type(name: \"Query\") { name } }",
        "mutation { setDataset(subscription: \"x\", name: \"other\") }", "subscription { x }",
        "query a { version } query b { uid }", "{ version } mutation { setSelected(selected: []) }", "{", "",
        "type Query { a: Int }", "{ version } type X { a: Int }",
        "query { ...f } fragment f on Query { ...f }",
        "query { " + "... on Query { " * 30 + "version" + " }" * 30 + " }",
        "{ " + " ".join(f"a{i}: version" for i in range(60)) + " }",
    ],
)  # fmt: skip
def test_documents_that_change_or_name_more_are_refused(text: str) -> None:
    assert asked(text)


def test_variables_are_looked_at_and_batches_refused() -> None:
    text = "query q($n: String!, $v: BSONArray) { dataset(name: $n, view: $v) { id } }"
    assert asked(text, n="other")
    assert asked(text, n="Tiles.1", v=[stage("os.system")])
    assert asked(text, n=["Tiles.1", "other"])
    assert graphql.refused([{"query": "{ version }"}], NAMES)
    assert graphql.refused({"query": "{ version }", "map": {}}, NAMES)
    assert graphql.refused({"query": 3}, NAMES)
    assert graphql.refused({"query": "{ version }", "variables": []}, NAMES) is None
    assert graphql.refused({"query": "{ version }", "variables": [1]}, NAMES)
    assert graphql.refused({"id": "stored"}, NAMES)


def test_fragments_that_double_at_each_step_end_soon() -> None:
    steps = " ".join(f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(24))
    start = time.process_time()
    assert asked("query { ...f0 } " + steps + " fragment f24 on Query { version }")
    flat = " ".join(f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(20))
    assert asked("query { ...f0 } " + flat + " fragment f20 on Query { version }")
    assert time.process_time() - start < 1


def test_a_document_of_many_tokens_is_not_parsed() -> None:
    assert asked("{ " + "version " * 20_000 + "}")
    assert asked("{ version } #" + "x" * 200_000)
