"""Operators of the App that answer a page's script: no form, no button, errors as words for the person."""

from collections.abc import Callable, Mapping
from typing import Any

import fiftyone.operators as foo

from curate.errors import CurateError
from curate.store import asked

Answering = Callable[[Any], dict[str, Any]]


class ScriptOperator(foo.Operator):  # type: ignore[misc]
    """Runs `answering` on the context of a request; `error` in the answer is for the person at the page.

    It is run only when the request names a dataset, and its parameters are an object.
    """

    key: str
    answering: Answering

    @property
    def config(self) -> Any:
        return foo.OperatorConfig(name=self.key, label=self.key, unlisted=True)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            asked.dataset_name(ctx)
            asked.params(ctx)
            return type(self).answering(ctx)
        except (CurateError, ValueError) as error:
            return {"error": str(error)}


def register_answers(plugin: Any, answers: Mapping[str, Answering]) -> None:
    """Register an operator for each name; FiftyOne wants one class each and makes the operators itself."""
    for key, answering in answers.items():
        attributes = {"key": key, "answering": staticmethod(answering)}
        plugin.register(type(key, (ScriptOperator,), attributes))
