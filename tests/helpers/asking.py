"""What a person's page asks of the gateway."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.helpers.sharing import NAME, SharedPage, Told


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
