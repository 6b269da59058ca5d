"""Checks tables and files against their contracts in data_schemas/."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema

from curate.errors import SchemaViolation, listed

if TYPE_CHECKING:
    import pandas as pd


@cache
def load(name: str) -> dict[str, Any]:
    """The contract called `name`, e.g. "sample"."""
    text = files("data_schemas").joinpath(f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(load(name))


@cache
def _quick(name: str) -> Callable[[Any], Any]:
    """The contract as compiled code: a hundred times as fast, but with poorer messages."""
    import fastjsonschema

    # it knows the drafts up to 7, from which these contracts do not differ
    compiled: Callable[[Any], Any] = fastjsonschema.compile(
        load(name) | {"$schema": "http://json-schema.org/draft-07/schema#"}, use_default=False
    )
    return compiled


def _keeps(row: Mapping[str, Any], name: str) -> bool:
    from fastjsonschema import JsonSchemaValueException

    try:
        _quick(name)(row)
    except JsonSchemaValueException:
        return False
    return True


def faults(rows: Sequence[Mapping[str, Any]], name: str, where: str = "row") -> list[str]:
    """Every breach of a contract, one line each: row, column, what was found, what was expected.

    >>> faults([{"sample_id": 3}], "verdict")[0]
    "row 0: 'at' is a required property"
    """
    found = []
    for index, row in enumerate(rows):
        if _keeps(row, name):
            continue
        for error in sorted(
            _validator(name).iter_errors(row), key=lambda e: (list(map(str, e.path)), e.message)
        ):
            column = ".".join(str(part) for part in error.path)
            found.append(f"{where} {index}{', ' + column if column else ''}: {_told(error)}")
    return found


def _told(error: jsonschema.ValidationError) -> str:
    """What is wrong, in words: an unknown key names the known ones."""
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        known = list(schema.get("properties", {}))
        unknown = [f'"{key}"' for key in error.instance if key not in known]
        return f"unknown key {', '.join(unknown)}; known: {', '.join(known)}"
    return error.message


def check_rows(rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Raise unless every row keeps its contract.

    Raises:
        SchemaViolation: lists the first ten breaches and counts the rest.
    """
    if broken := faults(rows, name):
        raise SchemaViolation(
            f"SchemaViolation: the {name} table breaks its contract data_schemas/{name}.json "
            f"in {len(broken)} places:\n{listed(broken)}"
        )


def check_table(table: "pd.DataFrame", name: str) -> None:
    """Raise unless a table has exactly the contract's columns and every row keeps it; see check_rows."""
    from curate.tables import to_rows

    columns = list(load(name)["properties"])
    if missing := [c for c in columns if c not in table.columns]:
        raise SchemaViolation(f"SchemaViolation: the {name} table lacks the columns {', '.join(missing)}.")
    if extra := [c for c in table.columns if c not in columns]:
        raise SchemaViolation(f"SchemaViolation: the {name} table has unknown columns {', '.join(extra)}.")
    check_rows(to_rows(table), name)
