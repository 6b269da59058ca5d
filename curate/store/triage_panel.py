"""What the triage panel shows: how much is decided, by whom, what is doubtful, and what can be taken back."""

from datetime import UTC, datetime
from typing import Any

from curate.store.documents import object_id
from curate.store.failures import database_errors
from curate.store.verdicts import _log, _rows, collection_of
from curate.triage_progress import by_person, last_decisions, midnight

LOOKED_BACK = 200  # of a person's last verdicts, those looked at for what can be taken back
Row = dict[str, Any]


@database_errors()
def state(dataset_name: str, by: str, known: str | None = None) -> Row:
    """How far triage is; cheap enough to ask for every few seconds.

    Args:
        by: who looks at the panel.
        known: revision that the panel shows already.

    Returns:
        revision: changes with each verdict. Nothing else if it is the known one; otherwise n_images,
        n_decided; people, see curate.triage_progress.by_person, of today; last: see `_last`; by.

    Raises:
        Missing: no such dataset.
    """
    collection = collection_of(dataset_name)
    newest = _log().find_one({"dataset": dataset_name}, {"at": 1}, sort=[("at", -1)])
    revision = f"{by} {newest['at'] if newest else 'nothing'} {datetime.now().astimezone():%Y-%m-%d}"
    if revision == known:
        return {"revision": revision}
    today = _rows({"dataset": dataset_name, "at": {"$gte": midnight(datetime.now(UTC))}})
    return {
        "revision": revision,
        "by": by,
        "n_images": collection.count_documents({}),
        "n_decided": collection.count_documents({"verdict": {"$ne": None}}),
        "people": by_person(today),
        "last": _last(dataset_name, collection, by),
    }


def _last(dataset_name: str, collection: Any, by: str) -> list[Row]:
    """The last decisions of a person: at, verdict, defect_type, ids of the documents, name of the first."""
    wanted = {"_id": 0, "sample_id": 1}
    own = {"dataset": dataset_name, "by": by}
    recent = _log().find(own, wanted).sort("at", -1).limit(LOOKED_BACK)
    concerned = sorted({row["sample_id"] for row in recent})
    found = last_decisions(_rows({**own, "sample_id": {"$in": concerned}}), by)
    shown = [each["sample_ids"][0] for each in found]
    paths = collection.find({"sample_id": {"$in": shown}}, {"sample_id": 1, "relative_path": 1})
    names = {row["sample_id"]: row["relative_path"] for row in paths}
    return [
        {
            **{key: each[key] for key in ("at", "verdict", "defect_type")},
            "ids": [str(object_id(sample_id, "sample")) for sample_id in each["sample_ids"]],
            "name": names.get(each["sample_ids"][0], ""),
        }
        for each in found
    ]
