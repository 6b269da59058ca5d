"""Promises every exporter keeps."""

from pathlib import Path
from types import ModuleType

import pytest

import curate.exporters
from curate.errors import AlreadyExists
from curate.exporters import EXPORTERS
from curate.verify import verify
from tests.helpers.exported import RECIPE, ingested

EVERY = pytest.mark.parametrize(
    "exporter", [entry.load() for entry in EXPORTERS.values()], ids=list(EXPORTERS)
)


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.exporters.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(EXPORTERS)
    assert all(entry.target == f"curate.exporters.{name}" for name, entry in EXPORTERS.items())


@EVERY
def test_what_is_written_is_what_is_said_and_can_be_verified(exporter: ModuleType, tmp_path: Path) -> None:
    toy = ingested(tmp_path, n_train=3)
    out = tmp_path / "out"
    written = exporter.write(toy.samples, out, masks=toy.masks, recipe=RECIPE)
    assert written == sorted(path for path in out.rglob("*") if path.is_file())
    assert verify(out) == []


@EVERY
def test_an_earlier_export_is_replaced_only_when_asked(exporter: ModuleType, tmp_path: Path) -> None:
    toy = ingested(tmp_path, n_train=3)
    out = tmp_path / "out"
    exporter.write(toy.samples, out, masks=toy.masks, recipe=RECIPE)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        exporter.write(toy.samples, out, masks=toy.masks, recipe=RECIPE)
    exporter.write(toy.samples, out, masks=toy.masks, recipe=RECIPE, overwrite=True)
