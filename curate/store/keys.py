"""What the keys of the triage page need from the database: an order to walk in, and what a decision did."""

from collections.abc import Sequence
from typing import Any

from curate.store import verdicts
from curate.store.acting import act, known_defect_types, user
from curate.store.appearance import detectors_of
from curate.store.dataset import load
from curate.store.documents import object_id, sample_id_of
from curate.store.failures import database_errors
from curate.store.fields import detector_fields
from curate.verdicts import EXTRA

N_NUMBER_KEYS = 9
SHOWN = ["label", "defect_types", *EXTRA]


@database_errors()
def begin(dataset_name: str, view: Any = None) -> dict[str, list[str]]:
    """What a page asks for before its first key.

    The ids are the walk through the view as it is now. The App itself skips what it has shown in a view, by
    number; in one that decided images leave, it would pass over as many others unseen.

    Args:
        view: a FiftyOne view in the order of the grid; None = no image is open.

    Returns:
        defect_types in alphabetical order, map and mask fields, and ids of the view's documents.
    """
    dataset = load(dataset_name)
    known = set(dataset.get_field_schema())
    maps = [detector_fields(name)[1] for name in detectors_of(dataset)]
    return {
        "defect_types": known_defect_types(dataset_name)[:N_NUMBER_KEYS],
        "maps": [name for name in maps if name in known],
        "masks": ["gt_mask"],
        "ids": [] if view is None else [str(found) for found in view.values("_id")],
    }


@database_errors()
def decide(
    dataset_name: str, operator: str, document_ids: Sequence[str], defect_type: str | None = None
) -> dict[str, Any]:
    """Store one decision, and tell what holds now.

    Args:
        operator: name in curate.triage.TRIAGE.
        document_ids: of samples. None with "undo": the samples of the last decision.
        defect_type: only with "mark_anomalous"; None keeps the types of the source.

    Returns:
        n_verdicts stored, and samples: the fields of each concerned document as the App reads them.

    Raises:
        ValueError: unknown operator, or a defect type that cannot be used.
        DatabaseDown: the database stopped.
    """
    concerned = [sample_id_of(document_id) for document_id in document_ids]
    if not concerned and operator == "undo":
        concerned = verdicts.last_decided(dataset_name, user())
    ids = [object_id(sample_id, "sample") for sample_id in concerned]
    options: dict[str, Any] = {} if defect_type is None else {"defect_type": defect_type}
    n_verdicts = act(dataset_name, operator, list(map(str, ids)), **options) if ids else 0
    if not n_verdicts:
        return {"n_verdicts": 0, "samples": []}
    wanted = dict.fromkeys(["relative_path", *SHOWN], 1)
    found = verdicts.collection_of(dataset_name).find({"_id": {"$in": ids}}, wanted)
    return {"n_verdicts": n_verdicts, "samples": [_as_read(document) for document in found]}


def _as_read(document: dict[str, Any]) -> dict[str, Any]:
    """A document's fields as the App's pages hold them."""
    at = document["verdict_at"]
    moment = None if at is None else {"_cls": "DateTime", "datetime": round(at.timestamp() * 1000)}
    return {**document, "_id": str(document["_id"]), "verdict_at": moment}
