"""The triage panel in the FiftyOne App; the page's script asks these two operators, which only read."""

from dataclasses import asdict
from typing import Any

import fiftyone.operators as foo

from curate.errors import CurateError
from curate.store import queues, triage_panel
from curate.store.acting import user


class PanelOperator(foo.Operator):  # type: ignore[misc]
    """Answers the page's script; `error` in the answer is for the person at the panel."""

    key: str

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            if self.key == "panel_queues":
                return {"queues": [asdict(queue) for queue in queues.listed(ctx.dataset_name)]}
            return triage_panel.state(ctx.dataset_name, user(), ctx.params.get("known"))
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def register(plugin: Any) -> None:
    """Called by FiftyOne: it wants one class per operator and makes the operators itself."""
    for key in ("panel_state", "panel_queues"):
        plugin.register(type(key, (PanelOperator,), {"key": key}))
