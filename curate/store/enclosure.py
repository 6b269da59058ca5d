"""Lets FiftyOne's server see one dataset and make views of known kinds only, for pages that others may open.

The gateway looks at each request; this makes sure where the work is done, whatever a request looked like.
"""

from collections.abc import Mapping
from functools import wraps
from typing import Any

from curate.gateway.content import CLASSES, breaches
from curate.store.dataset import load
from curate.store.fields import fiftyone


def enclose(dataset_name: str) -> None:
    """Change FiftyOne in this process, for good: other datasets do not exist, and no other class is made.

    Raises:
        Missing: no such dataset.
    """
    dataset: Any = load(dataset_name)
    allowed = frozenset({dataset.name, dataset.slug})
    names = allowed | {str(dataset._doc.id)}
    _enclose_datasets(dataset.name, allowed)
    for module, owner in (("core.stages", "ViewStage"), ("core.aggregations", "Aggregation")):
        _enclose_classes(getattr(fiftyone(module), owner), names)


def _enclose_datasets(name: str, allowed: frozenset[str]) -> None:
    core: Any = fiftyone("core.dataset")
    load_any, query_any = core._load_dataset, core._list_datasets_query

    @wraps(load_any)
    def load_own(obj: Any, wanted: str, virtual: bool = False) -> Any:
        if wanted not in allowed:
            raise core.DatasetNotFoundError(wanted)
        return load_any(obj, wanted, virtual=virtual)

    @wraps(query_any)
    def query_own(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"$and": [query_any(*args, **kwargs), {"name": name}]}

    def create_none(*args: Any, **kwargs: Any) -> Any:
        raise core.DatasetNotFoundError("a new one")

    core._load_dataset, core._list_datasets_query, core._create_dataset = load_own, query_own, create_none
    fiftyone("server.query").DATASET_FILTER[0]["name"] = name  # also in what the list of datasets is made of


def _enclose_classes(owner: Any, names: frozenset[str]) -> None:
    make_any = owner._from_dict.__func__

    def make_known(cls: Any, told: Mapping[str, Any]) -> Any:
        if told.get("_cls") not in CLASSES or next(breaches(dict(told), names), None):
            raise ValueError("This view holds what the shared page does not show.")
        return make_any(cls, told)

    owner._from_dict = classmethod(make_known)
