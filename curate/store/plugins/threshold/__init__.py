"""The threshold panel in the FiftyOne App; the page's script asks these two operators.

threshold_scores only reads; threshold_store keeps a decision.
"""

from typing import Any

from curate.steps import threshold_by_hand
from curate.steps.record import Context
from curate.store import asked, threshold_panel
from curate.store.acting import user
from curate.store.answering import register_answers
from curate.workspace import Workspace


def _context(ctx: Any) -> Context:
    workspace = Workspace.at()
    return Context(workspace, workspace.dataset(ctx.dataset_name))


def _scores(ctx: Any) -> dict[str, Any]:
    detector = asked.text(ctx.params, "detector")
    return threshold_panel.content(
        ctx.dataset_name, detector, lambda name: threshold_by_hand.left_out(_context(ctx), name)
    )


def _store(ctx: Any) -> dict[str, Any]:
    given = ctx.params
    detector, why = asked.needed(given, "detector"), asked.text(given, "why") or ""
    values, review_from = asked.numbers(given, "values"), asked.numbers(given, "review_from")
    made = threshold_by_hand.decide(_context(ctx), detector, values, review_from, why, user())
    return {key: made[key] for key in ("id", "by", "at", "fresh", "note")}


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    register_answers(plugin, {"threshold_scores": _scores, "threshold_store": _store})
