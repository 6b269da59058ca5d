"""Proposals that were sent to CVAT from a real database, and what somebody makes of them there."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.annotation_package import read_package
from curate.steps import annotate_choice, annotate_send, propose, sync
from curate.steps.record import Context
from curate.store import verdicts
from curate.store.server import connect
from tests.helpers.evaluated import dataset, scored

Edit = Callable[[ElementTree.Element, int], None]


@contextmanager
def proposing(folder: Path) -> Iterator[Context]:
    """A dataset with proposals, in a database that stays open."""
    made = scored(dataset(folder, ("weave",)), "keen")
    propose.run(made, "keen")
    with connect(made.workspace.home):
        sync.everything(made)
        yield made


def send(context: Context, folder: Path, tool: str = "cvat") -> dict[str, Any]:
    """Make a package; its manifest."""
    proposals = annotate_choice.proposed(context, "keen", None)
    annotate_send.run(context, annotate_send.Asked(tool, detector="keen"), folder, proposals, overwrite=True)
    return read_package(folder / "manifest.json")


def sent_afresh(context: Context, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A CVAT package in a dataset without verdicts; its folder and its manifest."""
    log = verdicts._log()
    log.delete_many({"dataset": "toy"})
    context.paths.verdicts.unlink(missing_ok=True)
    for path in context.paths.drawn_masks.glob("*.png"):
        path.unlink()
    return folder, send(context, folder)


def edited(folder: Path, edit: Edit) -> Path:
    """What CVAT exports after somebody edited each image."""
    root = ElementTree.fromstring((folder / "annotations.xml").read_bytes())
    for number, image in enumerate(root.iter("image")):
        edit(image, number)
    path = folder.with_suffix(".xml")
    path.write_bytes(ElementTree.tostring(root))
    return path


def tag(image: ElementTree.Element, label: str) -> None:
    """Say something of an image."""
    ElementTree.SubElement(image, "tag", {"label": label, "source": "manual"})


def without_shapes(image: ElementTree.Element) -> None:
    """Remove all that is drawn on an image."""
    for shape in list(image):
        image.remove(shape)
