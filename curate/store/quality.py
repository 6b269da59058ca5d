"""The numbers of curate.quality as fields of a FiftyOne dataset."""

import pandas as pd

from curate.quality import FIELDS
from curate.store.dataset import load, update
from curate.store.failures import database_errors
from curate.store.fields import add_fields, declare_indexes, fiftyone
from curate.tables import to_rows


def save_quality(dataset_name: str, table: pd.DataFrame) -> int:
    """Store the numbers of every sample; what is not in the table any more is emptied.

    Args:
        table: see curate.quality.numbers.

    Returns:
        Number of samples that the dataset has of those in the table.

    Raises:
        Missing: no such dataset.
        DatabaseDown: the database stopped; what was acknowledged is kept.
    """
    _declare(dataset_name)
    rows = to_rows(table)
    return update(dataset_name, {row["sample_id"]: {name: row[name] for name in FIELDS} for row in rows})


@database_errors()
def clear_quality(dataset_name: str) -> None:
    """Empty the fields, because what they came from is gone."""
    dataset = load(dataset_name)
    known = set(dataset.get_field_schema())
    if emptied := {name: None for name in FIELDS if name in known}:
        dataset._sample_collection.update_many({}, {"$set": emptied})


@database_errors()
def _declare(dataset_name: str) -> None:
    """Give a dataset the fields, and an index for each, as people sort and filter by them."""
    fo = fiftyone()
    kinds = {float: fo.FloatField, int: fo.IntField, str: fo.StringField}
    dataset = load(dataset_name)
    known = set(dataset.get_field_schema())
    lacking = {
        name: {"ftype": kinds[kind], "description": about}
        for name, (kind, about) in FIELDS.items()
        if name not in known
    }
    add_fields(dataset, lacking)
    declare_indexes(dataset, FIELDS)
