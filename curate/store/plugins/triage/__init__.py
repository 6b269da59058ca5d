"""The triage operators in the FiftyOne App: buttons over the grid and in the sample view, a form, keys.

The keys are pressed in press.js. The scripts call the operators keys_begin, keys_decide and keys_strongest;
only keys_decide changes anything.
"""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.server.view import get_view

from curate.errors import CurateError
from curate.store import asked, keys
from curate.store.acting import act, known_defect_types
from curate.store.answering import register_answers
from curate.store.failures import database_errors

LABELS = {
    "accept_normal": ("Accept as normal", "check_circle", "as normal"),
    "mark_anomalous": ("Mark as anomalous…", "report", "as anomalous"),
    "accept_mask": ("Accept the proposed mask", "fact_check", "as anomalous, with the proposed mask"),
    "reject_mask": ("Reject the proposed mask", "layers_clear", "as with a wrong proposal"),
    "unsure": ("Unsure: ask for a second opinion", "help_outline", "as unsure"),
    "skip": ("Skip", "skip_next", "as skipped"),
    "undo": ("Undo last verdict", "undo", "as undone"),
}
NOTHING = {
    "undo": "Nothing to do: these images have no verdict of yours to undo.",
    "accept_mask": "Nothing to do: no mask is proposed for these images.",
}
PLACES = ("image", "grid")
LONGEST_TYPE = 200  # characters of a defect type, which is a folder's name in exports


class TriageOperator(foo.Operator):  # type: ignore[misc]
    """One entry of LABELS over the grid; `here` is its twin in the sample view."""

    key: str
    here: bool

    @property
    def config(self) -> Any:
        title, icon, _ = LABELS[self.key]
        name = f"{self.key}_here" if self.here else self.key
        return foo.OperatorConfig(name=name, label=title, icon=icon, dynamic=False, unlisted=self.here)

    def resolve_placement(self, ctx: Any) -> Any:
        title, icon, _ = LABELS[self.key]
        place = types.Places.SAMPLES_VIEWER_ACTIONS if self.here else types.Places.SAMPLES_GRID_ACTIONS
        button = types.Button(label=title, icon=icon, prompt=self.key == "mark_anomalous")
        return types.Placement(place, button)

    def resolve_input(self, ctx: Any) -> Any:
        if self.key != "mark_anomalous":
            return None
        try:
            name, chosen = asked.dataset_name(ctx), _chosen(ctx)
            _options(self.key, asked.params(ctx))
            n_images, known_types = len(ctx.dataset), known_defect_types(name)
        except (CurateError, ValueError):  # `execute` says it; FiftyOne would answer with a traceback here
            return None
        inputs = types.Object()
        inputs.view("count", types.Notice(label=f"{len(chosen)} of {n_images} images chosen"))
        known = types.AutocompleteView(allow_user_input=True, allow_clearing=True)
        for each in known_types:
            known.add_choice(each, label=each)
        inputs.str(
            "defect_type", label="Defect type", view=known, required=False,
            description="Choose one or write a new one. Left empty, the types of the source stay.",
        )  # fmt: skip
        prompt = types.PromptView(label="Mark as anomalous", submit_button_label="Mark")
        return types.Property(inputs, view=prompt)

    def execute(self, ctx: Any) -> dict[str, int]:
        try:
            name, chosen = asked.dataset_name(ctx), _chosen(ctx)
            options = _options(self.key, asked.params(ctx))
            if not chosen and self.key != "undo":
                ctx.ops.notify("Choose one or more images first.", variant="warning")
                return {"n_verdicts": 0}
            n_verdicts = act(name, self.key, chosen, place="image" if self.here else "grid", **options)
        except (CurateError, ValueError) as error:
            ctx.ops.notify(str(error), variant="error")
            return {"n_verdicts": 0}
        _tell(ctx, self.key, n_verdicts)
        return {"n_verdicts": n_verdicts}


def _chosen(ctx: Any) -> list[str]:
    """Selected samples, else the one that is open, as document ids."""
    if ctx.selected:
        return asked.document_ids(ctx.selected, "selected")
    return asked.document_ids([ctx.current_sample], "current_sample") if ctx.current_sample else []


def _options(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a triage operator is told beside the images; an empty defect type is none."""
    if key != "mark_anomalous":
        return {}
    defect_type = (asked.text(given, "defect_type", longest=LONGEST_TYPE) or "").strip()
    return {"defect_type": defect_type} if defect_type else {}


def _tell(ctx: Any, key: str, n_verdicts: int) -> None:
    if n_verdicts == 0:
        ctx.ops.notify(NOTHING.get(key, "Nothing to do."), variant="info")
        return
    images = "1 image" if n_verdicts == 1 else f"{n_verdicts} images"
    ctx.ops.notify(f"{images} recorded {LABELS[key][2]}.", variant="success")
    ctx.ops.clear_selected_samples()
    ctx.ops.reload_dataset()  # reload_samples corrects the count but leaves the thumbnails as they are
    if ctx.current_sample:
        ctx.ops.reload_samples()  # the open sample's own values


def _begin(ctx: Any) -> dict[str, Any]:
    return keys.begin(ctx.dataset_name, _walked(ctx) if asked.flag(ctx.params, "walk") else None)


def _strongest(ctx: Any) -> dict[str, Any]:
    document_id, detector = asked.document_id(ctx.params, "id"), asked.text(ctx.params, "detector")
    return {"box": keys.strongest(ctx.dataset_name, document_id or "", detector)}


def _decide(ctx: Any) -> dict[str, Any]:
    given = ctx.params
    defect_type = asked.text(given, "defect_type", longest=LONGEST_TYPE)
    looked = {
        "place": asked.choice(given, "place", PLACES),
        "detector": asked.text(given, "detector"),
        "seconds": asked.number(given, "seconds"),
    }
    operator, ids = asked.needed(given, "operator"), asked.document_ids(given.get("ids"))
    told = {key: value for key, value in looked.items() if value is not None}
    return keys.decide(ctx.dataset_name, operator, ids, defect_type, **told)


@database_errors()
def _walked(ctx: Any) -> Any:
    """The view in the grid with the sidebar's filters and the grid's own order; ctx.view lacks both."""
    request, given = ctx.request_params, ctx.params
    sort_by, descending = asked.text(given, "sort_by"), asked.flag(given, "descending")
    try:
        return get_view(
            ctx.dataset, stages=request.get("view"), filters=request.get("filters"),
            extended_stages=request.get("extended"), sort_by=sort_by, desc=descending,
        )  # fmt: skip
    except (
        AttributeError,
        ImportError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # what it raises on what is no view
        raise ValueError(f"The view of the page cannot be read ({error}). {asked.ADVICE}") from error


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in LABELS:
        for here in (False, True):
            attributes = {"key": key, "here": here}
            plugin.register(type(f"{key}_here" if here else key, (TriageOperator,), attributes))
    register_answers(plugin, {"keys_begin": _begin, "keys_decide": _decide, "keys_strongest": _strongest})
