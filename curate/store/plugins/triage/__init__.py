"""The triage operators in the FiftyOne App: buttons over the grid and in the sample view, a form, keys.

The keys are pressed in press.js. The scripts call the operators keys_begin, keys_decide and keys_strongest;
only keys_decide changes anything.
"""

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.server.view import get_view

from curate.errors import CurateError
from curate.store import keys
from curate.store.acting import act, known_defect_types

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
LOOKED = ("place", "detector", "seconds")
LOADING = "The page is still loading. Press the key once more."


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
        chosen = _chosen(ctx)
        inputs = types.Object()
        inputs.view("count", types.Notice(label=f"{len(chosen)} of {len(ctx.dataset)} images chosen"))
        known = types.AutocompleteView(allow_user_input=True, allow_clearing=True)
        for name in known_defect_types(ctx.dataset.name):
            known.add_choice(name, label=name)
        inputs.str(
            "defect_type", label="Defect type", view=known, required=False,
            description="Choose one or write a new one. Left empty, the types of the source stay.",
        )  # fmt: skip
        prompt = types.PromptView(label="Mark as anomalous", submit_button_label="Mark")
        return types.Property(inputs, view=prompt)

    def execute(self, ctx: Any) -> dict[str, int]:
        chosen = _chosen(ctx)
        if not chosen and self.key != "undo":
            ctx.ops.notify("Choose one or more images first.", variant="warning")
            return {"n_verdicts": 0}
        defect_type = (ctx.params.get("defect_type") or "").strip()
        options: dict[str, Any] = (
            {"defect_type": defect_type} if self.key == "mark_anomalous" and defect_type else {}
        )
        try:
            place = "image" if self.here else "grid"
            n_verdicts = act(ctx.dataset.name, self.key, chosen, place=place, **options)
        except (CurateError, ValueError) as error:
            ctx.ops.notify(str(error), variant="error")
            return {"n_verdicts": 0}
        _tell(ctx, self.key, n_verdicts)
        return {"n_verdicts": n_verdicts}


def _chosen(ctx: Any) -> list[str]:
    """Selected samples, else the one that is open, as document ids."""
    return list(ctx.selected) or ([ctx.current_sample] if ctx.current_sample else [])


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


class KeysOperator(foo.Operator):  # type: ignore[misc]
    """Answers the page's script; `error` in the answer is for the person at the keys."""

    key: str

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            wanted, name = ctx.params, ctx.dataset_name  # ctx.dataset would be loaded first
            if not name:
                raise ValueError(LOADING)
            if self.key == "keys_begin":
                return keys.begin(name, _walked(ctx) if wanted.get("walk") else None)
            if self.key == "keys_strongest":
                return {"box": keys.strongest(name, wanted["id"], wanted.get("detector"))}
            looked = {each: wanted[each] for each in LOOKED if wanted.get(each) is not None}
            return keys.decide(name, wanted["operator"], wanted["ids"], wanted.get("defect_type"), **looked)
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def _walked(ctx: Any) -> Any:
    """The view in the grid with the sidebar's filters and the grid's own order; ctx.view lacks both."""
    asked, params = ctx.request_params, ctx.params
    return get_view(
        ctx.dataset, stages=asked.get("view"), filters=asked.get("filters"),
        extended_stages=asked.get("extended"), sort_by=params.get("sort_by"), desc=params.get("descending"),
    )  # fmt: skip


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in LABELS:
        for here in (False, True):
            attributes = {"key": key, "here": here}
            plugin.register(type(f"{key}_here" if here else key, (TriageOperator,), attributes))
    for key in ("keys_begin", "keys_decide", "keys_strongest"):
        plugin.register(type(key, (KeysOperator,), {"key": key}))
