"""What may be asked of FiftyOne's server: a list of what the page needs. Everything else is refused."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from curate.gateway import graphql
from curate.gateway.content import breaches
from curate.gateway.operators import left_for_later, may_run

ID = r"[0-9a-f]{24}"
EDITABLE = re.compile(r"[A-Za-z0-9_]+_proposals")
FILE_KEYS = frozenset({"filepath", "mask_path", "map_path", "_media_type", "metadata"})
PATCHED = re.compile(rf"/dataset/({ID})/sample/{ID}(?:/([A-Za-z0-9_.]+)/{ID})?")
STATIC = re.compile(
    r"/(?:datasets/)?(?:assets/[A-Za-z0-9_.@-]+|favicon\.ico|model_evaluation\.svg)"
    r"|/plugins/[A-Za-z0-9_-]+/(?:[A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+(?:\.umd|\.min)?\.(?:js|css|svg|png)"
)
OWN = re.compile(r"/curate/[A-Za-z0-9_/-]+")
UNSAFE = re.compile(r"%|\\|//|/\.|\x00|[^\x20-\x7e]")


class Shared(NamedTuple):
    """The one dataset that is served.

    Attributes:
        slug: FiftyOne's own short form of the name.
        dataset_id: FiftyOne's, 24 hexadecimal digits.
    """

    name: str
    slug: str
    dataset_id: str

    @property
    def names(self) -> frozenset[str]:
        """All it may be called by."""
        return frozenset(self)

    @property
    def page(self) -> str:
        """Path of its page; the App finds a dataset by its name, not by its slug."""
        return f"/datasets/{self.name}"


class Asked(NamedTuple):
    """A request, as far as it decides.

    Attributes:
        path: decoded.
        query: pairs, decoded.
        body: JSON, or None.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any


class Answer(NamedTuple):
    """Whether a request is passed on.

    Attributes:
        refused: why it is not; None = it is.
        what: for the log: which operator, which GraphQL operation.
    """

    refused: str | None = None
    what: str = ""


def judge(asked: Asked, shared: Shared, deciding: bool) -> Answer:
    """Whether a person who is logged in may ask this."""
    if UNSAFE.search(asked.path):
        return Answer("a path that this page does not use")
    if asked.method in ("GET", "HEAD"):
        return _reading(asked, shared)
    if asked.method == "PATCH":
        return _patching(asked, shared, deciding)
    if asked.method != "POST":
        return Answer(f"the method {asked.method[:10]}")
    if asked.path == "/graphql":
        return Answer(graphql.refused(asked.body, shared.names), graphql.operation_name(asked.body))
    if breach := _breach(asked, shared.names):
        return Answer(breach)
    if rule := POSTS.get(asked.path):
        if (
            rule is _operating and asked.body.get("dataset_name") != shared.name
        ):  # ours take it as it is written
            return Answer("an operator without its dataset")
        return rule(asked.body, deciding)
    if OWN.fullmatch(asked.path):
        return Answer(None if deciding else NOT_DECIDING)
    return Answer("an address that this page does not use")


NOT_DECIDING = "a decision, but this token only lets look"


def _reading(asked: Asked, shared: Shared) -> Answer:
    if asked.path == "/media":
        files = [value for key, value in asked.query if key == "filepath"]
        return Answer(None if len(files) == 1 and len(asked.query) == 1 else "not one file")
    known = asked.path in (shared.page, "/plugins", "/fiftyone", "/features")
    if known or STATIC.fullmatch(asked.path):
        return Answer()
    if OWN.fullmatch(asked.path):
        return Answer(next(breaches(dict(asked.query), shared.names), None))
    return Answer("an address that this page does not use")


def _patching(asked: Asked, shared: Shared, deciding: bool) -> Answer:
    """Masks and boxes drawn in the Annotate mode; never what says where a file is."""
    if not deciding:
        return Answer(NOT_DECIDING)
    found = PATCHED.fullmatch(asked.path)
    if not found or asked.query:
        return Answer("an address that this page does not use")
    if found[1] != shared.dataset_id:
        return Answer("another dataset")
    if breach := next(breaches(asked.body, shared.names), None):
        return Answer(breach)
    field = found[2]
    if field is not None and not EDITABLE.fullmatch(field.split(".")[0]):
        return Answer("a change of a field that people do not draw in")
    return Answer(_of_patch(asked.body, whole_sample=field is None))


def _of_patch(body: Any, whole_sample: bool) -> str | None:
    """Looks at a JSON Patch (RFC 6902), or at an object of fields and their new values."""
    steps = (
        [{"path": f"/{key}", "value": value} for key, value in body.items()]
        if isinstance(body, dict)
        else body
    )
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        return "not a change of labels"
    for step in steps:
        for key in ("path", "from"):
            place = step.get(key)
            if place is None and key == "from":
                continue
            if not isinstance(place, str) or "~" in place:
                return "not a change of labels"
            parts = place.split("/")[1:]
            if whole_sample and not (parts and EDITABLE.fullmatch(parts[0])):
                return "a change of a field that people do not draw in"
            if FILE_KEYS & set(parts):
                return "a change of where a file is"
        if _names_file(step.get("value")):
            return "a change of where a file is"
    return None


def _names_file(value: Any) -> bool:
    """Whether a new value says where a file is; None says that there is none."""
    if isinstance(value, dict):
        return any(
            (key in FILE_KEYS and each is not None) or _names_file(each) for key, each in value.items()
        )
    return isinstance(value, list) and any(map(_names_file, value))


def _breach(asked: Asked, names: Collection[str]) -> str | None:
    if not isinstance(asked.body, dict):
        return "not a JSON object"
    if asked.query:
        return "an address that this page does not use"
    return next(breaches(asked.body, names), None)


def _anybody(body: Mapping[str, Any], deciding: bool) -> Answer:
    return Answer()


def _deciding(body: Mapping[str, Any], deciding: bool) -> Answer:
    return Answer(None if deciding else NOT_DECIDING)


def _listening(body: Mapping[str, Any], deciding: bool) -> Answer:
    return Answer("polling" if body.get("polling") else None)


def _operating(body: Mapping[str, Any], deciding: bool) -> Answer:
    uri = body.get("operator_uri")
    what = str(uri)[:80]
    params = body.get("params")
    if left_for_later(body):
        return Answer("work that is left to be done later", what)
    if may_run(uri, params, deciding):
        return Answer(None, what)
    return Answer(NOT_DECIDING if may_run(uri, params, True) else "an operator that is not for others", what)


POSTS: dict[str, Callable[[Mapping[str, Any], bool], Answer]] = {
    "/events": _listening,
    "/aggregate": _anybody,
    "/values": _anybody,
    "/tagging": _anybody,
    "/tag": _deciding,
    "/operators": _anybody,
    "/operators/resolve-placements": _anybody,
    "/operators/resolve-type": _operating,
    "/operators/resolve-execution-options": _operating,
    "/operators/execute": _operating,
}
