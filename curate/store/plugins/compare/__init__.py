"""Answers the panel in compare.js: what is shown beside an open image, and embeddings on request."""

from typing import Any

import fiftyone.operators as foo

from curate.errors import CurateError
from curate.steps import embed_on_request
from curate.store import colours, comparison


class CompareOperator(foo.Operator):  # type: ignore[misc]
    """`error` in the answer is for the person at the panel."""

    key: str

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            if self.key == "compare_embed":
                return embed_on_request.state(ctx.dataset_name, bool(ctx.params.get("start")))
            return {**comparison.look(ctx.dataset_name, ctx.params["id"]), "colours": colours.table()}
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in ("compare_look", "compare_embed"):
        plugin.register(type(key, (CompareOperator,), {"key": key}))
