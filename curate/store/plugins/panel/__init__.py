"""The triage panel in the FiftyOne App; the page's script asks these two operators, which only read."""

from dataclasses import asdict
from typing import Any

from curate.store import asked, queues, triage_panel
from curate.store.acting import user
from curate.store.answering import register_answers


def _queues(ctx: Any) -> dict[str, Any]:
    return {"queues": [asdict(queue) for queue in queues.listed(ctx.dataset_name)]}


def _state(ctx: Any) -> dict[str, Any]:
    return triage_panel.state(ctx.dataset_name, user(), asked.text(ctx.params, "known"))


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    register_answers(plugin, {"panel_state": _state, "panel_queues": _queues})
