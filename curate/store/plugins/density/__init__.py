"""Answers the panel in density.js: counts on the grid of a category, and the images of some cells."""

from typing import Any

import fiftyone.operators as foo

from curate.errors import CurateError
from curate.store import colours, density

LIMIT_S = 1.5  # of one answer; the panel asks again while images are left, and tells how far it is


class DensityOperator(foo.Operator):  # type: ignore[misc]
    """`error` in the answer is for the person at the panel."""

    key: str

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        name, wanted = ctx.dataset_name, ctx.params
        try:
            choices = density.choices(name, wanted.get("image"))
            asked = density.Asked(
                wanted.get("category") or choices["category"], wanted.get("source") or density.TRUTH
            )
            defect_type = wanted.get("defect_type") or None
            if self.key == "density_images":
                return {"ids": density.images(name, asked, wanted["cells"], defect_type)}
            seen = density.look(name, asked, defect_type, LIMIT_S)
            chosen = {"category": asked.category, "source": asked.source}
            return {**choices, **seen, **chosen, "colours": colours.table()}
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in ("density_look", "density_images"):
        plugin.register(type(key, (DensityOperator,), {"key": key}))
