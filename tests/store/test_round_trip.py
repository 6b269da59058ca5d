"""Any table that keeps the contract survives the way into FiftyOne and out again."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate import tables
from curate.schema import check_rows, load
from curate.store import dataset
from tests.helpers.stored import SAMPLE_COLUMNS, sample_id

pytestmark = pytest.mark.mongod

# What JSON, UTF-8 and the database can all hold: no half code units, no NUL, 64-bit numbers.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=64)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a contract's schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    named = schema["type"]
    if isinstance(named, list):
        return st.one_of(*(values({**schema, "type": one}) for one in named))
    if named == "null":
        return st.none()
    if named == "boolean":
        return st.booleans()
    if named == "string":
        return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else TEXT
    if named == "integer":
        return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1))
    if named == "number":
        low = schema.get("exclusiveMinimum")
        return NUMBER if low is None else st.floats(low, 1e12, exclude_min=True)
    if named == "array":
        least = schema.get("minItems", 0)
        return st.lists(values(schema["items"]), min_size=least, max_size=schema.get("maxItems", least + 3))
    return st.fixed_dictionaries({name: values(inner) for name, inner in schema["properties"].items()})


def rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    one = values({"type": "object", "properties": load("sample")["properties"]})
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda row: row["sample_id"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=rows())
def test_any_table_survives_fiftyone(
    workspace_db: object, tmp_path: Path, made: list[dict[str, Any]]
) -> None:
    check_rows(made, "sample")
    table = tables.from_rows(made, SAMPLE_COLUMNS)
    dataset.save_samples("any", table, remove_vanished=True)
    back = tables.to_rows(dataset.read_samples("any")[SAMPLE_COLUMNS])
    assert keyed(back) == keyed(made)
    check_rows(back, "sample")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=rows())
def test_any_table_survives_parquet(tmp_path: Path, made: list[dict[str, Any]]) -> None:
    path = tmp_path / "table.parquet"
    with tables.streaming(path, "sample") as take:
        for row in made:
            take([row])
    assert keyed([row for batch in tables.batches(path, 2) for row in batch]) == keyed(made)


def keyed(some: list[dict[str, Any]]) -> dict[str, str]:
    """Rows by id, as texts in which equal numbers are written equally."""
    return {row["sample_id"]: json.dumps(plain(row), sort_keys=True) for row in some}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not isinstance(value, bool) and math.isfinite(value):
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    return value


def test_a_second_save_writes_what_differs_and_nothing_else(workspace_db: object, tmp_path: Path) -> None:
    from tests.helpers.stored import many

    table, stored = many(20), tmp_path / "stored.parquet"
    dataset.save_samples("twice", table)
    with tables.streaming(stored, "sample") as take:
        take(tables.to_rows(table))
    collection = dataset.load("twice")._sample_collection
    before = {row["sample_id"]: row["last_modified_at"] for row in collection.find({})}
    table.loc[3, "lot"] = "L9"
    saved = dataset.save_samples("twice", table, stored=stored)
    assert (saved.n_new, saved.n_known) == (0, 20)
    after = {row["sample_id"]: row["last_modified_at"] for row in collection.find({})}
    assert [name for name in after if after[name] != before[name]] == [sample_id("00003")]
    assert collection.find_one({"sample_id": sample_id("00003")})["lot"] == "L9"
