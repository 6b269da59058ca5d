"""Answers the panel in view.js: what is shown beside an open image, and embeddings on request."""

from typing import Any

from curate.steps import embed_on_request
from curate.store import asked, colours, comparison
from curate.store.answering import register_answers


def _look(ctx: Any) -> dict[str, Any]:
    looked = comparison.look(ctx.dataset_name, asked.document_id(ctx.params, "id") or "")
    return {**looked, "colours": colours.table()}


def _embed(ctx: Any) -> dict[str, Any]:
    return embed_on_request.state(ctx.dataset_name, asked.flag(ctx.params, "start"))


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    register_answers(plugin, {"compare_look": _look, "compare_embed": _embed})
