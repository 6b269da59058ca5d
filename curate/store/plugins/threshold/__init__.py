"""The threshold panel in the FiftyOne App; the page's script asks these two operators.

threshold_scores only reads; threshold_store keeps a decision.
"""

from typing import Any

import fiftyone.operators as foo

from curate.errors import CurateError
from curate.steps import threshold_by_hand
from curate.steps.record import Context
from curate.store import threshold_panel
from curate.store.acting import user
from curate.workspace import Workspace


class ThresholdOperator(foo.Operator):  # type: ignore[misc]
    """Answers the page's script; `error` in the answer is for the person at the panel."""

    key: str

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            return _scores(ctx) if self.key == "threshold_scores" else _store(ctx)
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def _context(ctx: Any) -> Context:
    workspace = Workspace.at()
    return Context(workspace, workspace.dataset(ctx.dataset_name))


def _scores(ctx: Any) -> dict[str, Any]:
    detector = ctx.params.get("detector")
    return threshold_panel.content(
        ctx.dataset_name, detector, lambda name: threshold_by_hand.left_out(_context(ctx), name)
    )


def _store(ctx: Any) -> dict[str, Any]:
    asked = ctx.params
    made = threshold_by_hand.decide(
        _context(ctx), asked["detector"], asked["values"], asked.get("review_from") or {},
        asked.get("why") or "", user(),
    )  # fmt: skip
    return {key: made[key] for key in ("id", "by", "at", "fresh", "note")}


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in ("threshold_scores", "threshold_store"):
        plugin.register(type(key, (ThresholdOperator,), {"key": key}))
