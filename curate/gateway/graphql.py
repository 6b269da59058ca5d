"""Which GraphQL documents are passed on: those that read, and those that change what one page shows."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from graphql import GraphQLError, parse, value_from_ast_untyped
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
)

from curate.gateway.content import breaches

QUERIES = frozenset({
    "__typename", "aggregate", "aggregations", "colorscale", "config", "context", "dataset", "datasets",
    "dev", "doNotTrack", "estimatedDatasetCount", "lightning", "sample", "samples", "savedViews",
    "schemaForViewStages", "stageDefinitions", "uid", "version",
})  # fmt: skip
# these change the page of the one who sends them, and nothing that is stored
MUTATIONS = frozenset({
    "__typename", "searchSelectFields", "setColorScheme", "setDataset", "setFieldVisibilityStage",
    "setGroupSlice", "setLabelSelectionStyle", "setSample", "setSampleSelectionStyle", "setSelected",
    "setSelectedLabels", "setSelectedSamples", "setSpaces", "setView",
})  # fmt: skip
NAMED_BY_NAME = ("dataset", "setDataset")  # their argument "name" is that of a dataset
KEYS = {"query", "variables", "operationName", "extensions", "id", "cacheID"}
LONGEST_DOCUMENT = 100_000
N_TOKENS = 8_000
N_FIELDS = 3_000
N_ROOT_FIELDS = 40
DEEPEST = 25


def refused(body: Any, datasets: Collection[str]) -> str | None:
    """Why a request to /graphql is not passed on; None = it is.

    Args:
        body: JSON of the request.
        datasets: names and ids of the one dataset that may be named.
    """
    if not isinstance(body, dict) or not set(body) <= KEYS:
        return "not one GraphQL request"
    text, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(text, str) or len(text) > LONGEST_DOCUMENT or not isinstance(variables, dict):
        return "not one GraphQL request"
    for breach in breaches(variables, datasets):
        return breach
    try:
        document = parse(text, no_location=True, max_tokens=N_TOKENS)
    except (GraphQLError, RecursionError):
        return "a GraphQL document that cannot be read"
    return next(_faults(document, variables, datasets), None)


def operation_name(body: Any) -> str:
    """What the request calls itself, for the log."""
    name = body.get("operationName") if isinstance(body, dict) else None
    if not name and isinstance(body, dict) and isinstance(body.get("query"), str):
        words = body["query"][:200].replace("(", " ").replace("{", " ").split()
        name = words[1] if len(words) > 1 and words[0] in ("query", "mutation") else None
    return str(name)[:60] if name else ""


def _faults(document: DocumentNode, variables: Mapping[str, Any], datasets: Collection[str]) -> Iterator[str]:
    fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
    operations = [n for n in document.definitions if isinstance(n, OperationDefinitionNode)]
    if len(operations) != 1 or len(fragments) + 1 != len(document.definitions):
        yield "not exactly one GraphQL operation"
        return
    operation = operations[0]
    if operation.operation is OperationType.SUBSCRIPTION:
        yield "a GraphQL subscription"
        return
    try:
        depth, n_fields = _measures(operation.selection_set, fragments, {})
    except (_Circle, RecursionError):
        depth, n_fields = DEEPEST + 1, 0
    if depth > DEEPEST or n_fields > N_FIELDS:
        yield "a GraphQL document that is nested too deeply, or too long"
        return
    known = QUERIES if operation.operation is OperationType.QUERY else MUTATIONS
    values = {**_defaults(operation), **variables}
    yield from breaches(_defaults(operation), datasets)
    fields = list(_fields(operation.selection_set, fragments))
    if len(fields) > N_ROOT_FIELDS:
        yield "too many GraphQL fields at once"
    for field in fields:
        name = field.name.value
        if name not in known:
            yield f"{operation.operation.value} {name[:60]}"
        yield from _of_arguments(field, values, datasets)


def _of_arguments(field: FieldNode, variables: Mapping[str, Any], datasets: Collection[str]) -> Iterator[str]:
    told = {}
    for argument in field.arguments:
        key = argument.name.value
        if key == "name" and field.name.value in NAMED_BY_NAME:
            key = "dataset"
        told[key] = value_from_ast_untyped(argument.value, dict(variables))
    yield from breaches(told, datasets)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions
        if definition.default_value is not None
    }


def _fields(
    selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """The fields at the root, also those that fragments put there; the size was checked before."""
    for selection in selected.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif inner := _inside(selection, fragments):
            yield from _fields(inner, fragments)


def _inside(
    selection: SelectionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> SelectionSetNode | None:
    if isinstance(selection, FragmentSpreadNode):
        found = fragments.get(selection.name.value)
        return found.selection_set if found else None
    inner: SelectionSetNode | None = getattr(selection, "selection_set", None)
    return inner


class _Circle(Exception):
    """A fragment that contains itself."""


def _measures(
    selected: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, tuple[int, int] | None],
) -> tuple[int, int]:
    """Levels and fields of a document with its fragments put in; each fragment is looked at once.

    Args:
        known: measures of fragments, filled here; None = being looked at.

    Raises:
        _Circle: a fragment contains itself.
    """
    deepest, n_fields = 0, 0
    for selection in selected.selections:
        inner = _inside(selection, fragments)
        if inner is None:
            n_fields += 1
            continue
        name = selection.name.value if isinstance(selection, FragmentSpreadNode) else None
        if name is None or name not in known:
            if name:
                known[name] = None
            found = _measures(inner, fragments, known)
            if name:
                known[name] = found
        elif (seen := known[name]) is None:
            raise _Circle
        else:
            found = seen
        deepest, n_fields = max(deepest, found[0]), n_fields + 1 + found[1]
    return deepest + 1, n_fields
