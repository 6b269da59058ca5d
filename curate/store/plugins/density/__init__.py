"""Answers the panel in view.js: counts on the grid of a category, and the images of some cells."""

from typing import Any

from curate.store import asked, colours, density
from curate.store.answering import register_answers

LIMIT_S = 1.5  # of one answer; the panel asks again while images are left, and tells how far it is


def _chosen(ctx: Any) -> tuple[dict[str, Any], density.Asked, str | None]:
    """What can be chosen, what is chosen, and the one defect type that is counted."""
    given = ctx.params
    category, source = asked.text(given, "category"), asked.text(given, "source")
    defect_type = asked.text(given, "defect_type") or None
    choices = density.choices(ctx.dataset_name, asked.document_id(given, "image", required=False))
    if category and category not in choices["categories"]:
        known = ", ".join(choices["categories"])
        raise ValueError(f'No image is of the category "{category[:60]}". Known: {known}.')
    return choices, density.Asked(category or choices["category"], source or density.TRUTH), defect_type


def _look(ctx: Any) -> dict[str, Any]:
    choices, chosen, defect_type = _chosen(ctx)
    seen = density.look(ctx.dataset_name, chosen, defect_type, LIMIT_S)
    about = {"category": chosen.category, "source": chosen.source}
    return {**choices, **seen, **about, "colours": colours.table()}


def _images(ctx: Any) -> dict[str, Any]:
    cells = asked.cells(ctx.params, "cells")
    _, chosen, defect_type = _chosen(ctx)
    return {"ids": density.images(ctx.dataset_name, chosen, cells, defect_type)}


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    register_answers(plugin, {"density_look": _look, "density_images": _images})
