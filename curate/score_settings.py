"""Settings of detectors as they are typed: key=value for all of them, DETECTOR:key=value for one."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any


def parse(texts: Sequence[str], detectors: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of each detector; one for a single detector wins over one for all.

    A value is JSON where it reads as JSON, else text. The key ends at the first "="; what stands before its
    last colon names the detector, so names with a colon are written as they are.

    Args:
        texts: "seed=1", "npad:window=5", "tiled:padim:tile_side=128".
        detectors: those that there are settings for.

    Raises:
        ValueError: a text is not of this form, or names another detector.

    >>> parse(["n_channels=60", "npad:window=5"], ["padim", "npad"])
    {'padim': {'n_channels': 60}, 'npad': {'n_channels': 60, 'window': 5}}
    """
    for_all: dict[str, Any] = {}
    for_one: dict[str, dict[str, Any]] = {name: {} for name in detectors}
    for text in texts:
        left, equals, value = text.partition("=")
        name, colon, key = left.rpartition(":")
        if not equals or not key or (colon and not name):
            raise ValueError(
                f'--set expects key=value, or DETECTOR:key=value for one detector, got "{text}".'
            )
        if colon and name not in for_one:
            raise ValueError(
                f'--set {text} is for the detector "{name}", which is not among those that score: '
                f"{', '.join(detectors)}."
            )
        (for_one[name] if colon else for_all)[key] = _value(value)
    return {name: {**for_all, **own} for name, own in for_one.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def check_names(names: Sequence[str]) -> None:
    """Refuse detectors that do not exist or are named twice; all of them at once.

    Raises:
        ValueError: says which, and which there are.
    """
    from detectors import detector_class

    problems = [f'The detector "{name}" is named twice.' for name, n in Counter(names).items() if n > 1]
    for name in dict.fromkeys(names):
        try:
            detector_class(name)
        except ValueError as error:
            problems.append(str(error))
    if not names:
        problems.append("No detector is named.")
    if problems:
        raise ValueError("\n".join(problems))
