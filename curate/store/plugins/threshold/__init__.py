"""The threshold panel in the FiftyOne App; the page's script asks these two operators.

threshold_scores only reads; threshold_store keeps a decision.
"""

from typing import Any

from curate.steps import threshold_by_hand
from curate.steps.record import Context
from curate.store import threshold_panel
from curate.store.acting import user
from curate.store.answering import register_answers
from curate.workspace import Workspace


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
    """Called by FiftyOne."""
    register_answers(plugin, {"threshold_scores": _scores, "threshold_store": _store})
