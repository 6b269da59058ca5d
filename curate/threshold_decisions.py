"""Decisions about thresholds: dated records that are only ever added, one whole file each.

A decision stands for one detector at one level (images, regions or pixels) until a later one names it in
`replaces`. The file of a decision is the decision: everything else that tells of it, such as threshold.json,
is made from it and can be made again. So a command that is killed has either decided or not.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from curate.errors import AlreadyExists, Unreadable, listed
from curate.files import fingerprint, read_json, write_json
from curate.schema import check_rows, faults

Decision = dict[str, Any]
CHOICE = ("detector", "level", "rule", "params", "group", "defect_rate")
PERSON, RECIPE = "person", "recipe"
WHAT = {
    "split": "the split",
    "samples": "the images",
    "predictions": "the scores",
    "masks": "the masks",
    "verdicts": "the verdicts",
    "set_aside": "the images set aside",
}


def read(folder: Path) -> list[Decision]:
    """Every decision ever made, oldest first; none when there is no folder.

    Raises:
        Unreadable: a file is not a decision after data_schemas/threshold_decision.json, or was altered; all
            such are named.
    """
    paths = sorted(folder.glob("*.json"))
    rows: dict[str, Decision] = {}
    broken = []
    for path in paths:
        row, fault = _read(path)
        if fault:
            broken.append(f"{path.name}: {fault}")
        else:
            rows[row["id"]] = row  # a copy of a file is no decision of its own
    if broken:
        raise Unreadable(
            f"Unreadable: {folder} holds {len(broken)} files that are no threshold decisions:\n"
            f"{listed(broken)}\nRestore them from a copy, or move them away."
        )
    return sorted(rows.values(), key=lambda row: (row["at"], row["id"]))


def _read(path: Path) -> tuple[Decision, str]:
    """What a file holds, and what is wrong with it; its id tells whether it is as it was written."""
    try:
        row = read_json(path)
    except Unreadable as error:
        return {}, str(error.__cause__)
    for line in faults([row], "threshold_decision", where="decision")[:1]:
        return {}, line.removeprefix("decision 0").lstrip(",: ")
    if row["id"] != fingerprint({key: value for key, value in row.items() if key != "id"}):
        return {}, "it was altered after the decision"
    return row, ""


def standing(history: Iterable[Decision], detector: str, level: str) -> Decision | None:
    """The decision that no later one replaced, for a detector at a level."""
    rows = [row for row in history if (row["detector"], row["level"]) == (detector, level)]
    replaced = {row["replaces"] for row in rows}
    held = [row for row in rows if row["id"] not in replaced]
    return held[-1] if held else None


def complete(
    content: Mapping[str, Any], history: Iterable[Decision], now: datetime | None = None
) -> Decision:
    """A decision with its time and id; the time is later than that of every earlier decision.

    Args:
        content: all of data_schemas/threshold_decision.json but `at` and `id`.
        history: the decisions made so far.
        now: default: the present time.

    Raises:
        SchemaViolation: the result breaks the contract.
    """
    moment = now or datetime.now(UTC)
    for row in history:
        moment = max(moment, datetime.fromisoformat(row["at"]) + timedelta(microseconds=1))
    dated = {**content, "at": moment.astimezone(UTC).isoformat(timespec="microseconds")}
    decision = {**dated, "id": fingerprint(dated)}
    check_rows([decision], "threshold_decision")
    return decision


def append(folder: Path, decision: Decision) -> Path:
    """Write a decision into a file of its own, flushed to the disk; an earlier one is never touched.

    Raises:
        AlreadyExists: a decision of this time and id is there.
        StorageFull: no space is left; nothing is decided.
    """
    moment = datetime.fromisoformat(decision["at"])
    path = folder / f"{moment:%Y%m%dT%H%M%S.%f}Z-{decision['id']}.json"
    if path.exists():
        raise AlreadyExists(f"AlreadyExists: {path} holds a decision already. Run the command again.")
    write_json(path, decision)
    return path


def same_choice(decision: Mapping[str, Any], choice: Mapping[str, Any]) -> bool:
    """Whether a decision was made with this detector, level, rule, parameters, group and defect rate."""
    return all(decision[key] == choice[key] for key in CHOICE)


def differences(decision: Mapping[str, Any], choice: Mapping[str, Any], data: Mapping[str, str]) -> list[str]:
    """In words, what is not as it was when a decision was made; empty when it would be made again.

    Args:
        choice: with the keys of CHOICE.
        data: checksums of what a decision is made from, as in `data` of a decision.

    >>> old = {"detector": "padim", "level": "image", "rule": "f1_max", "params": {}, "group": "part_id",
    ...        "defect_rate": None, "data": {"split": "a", "predictions": "b"}}
    >>> differences(old, old | {"rule": "youden"}, {"split": "a", "predictions": "c"})
    ['rule: f1_max, now youden', 'the scores changed']
    """
    told = [key for key in CHOICE if key != "params" or decision["rule"] == choice["rule"]]
    changed = [
        f"{key.replace('_', ' ')}: {_told(decision[key])}, now {_told(choice[key])}"
        for key in told
        if decision[key] != choice[key]
    ]
    held = decision["data"]
    return changed + [f"{WHAT.get(key, key)} changed" for key in data if held.get(key) != data[key]]


def of_these_scores(decision: Mapping[str, Any], data: Mapping[str, str]) -> bool:
    """Whether a decision is about the scores as they are now; else its thresholds mean nothing any more."""
    return bool(decision["data"].get("predictions") == data["predictions"])


def signed(decision: Mapping[str, Any]) -> str:
    """Who decided what and when, as a line for people."""
    params = _told(decision["params"])
    rule = decision["rule"] + (f" ({params})" if params != "none" else "")
    who = decision["by"] if decision["origin"] == PERSON else f"the recipe, run by {decision['by']}"
    at = decision["at"][:16].replace("T", " ")
    return f"{decision['id']}: {rule} for {decision['detector']}, {at} UTC, by {who}"


def one_line(text: str) -> str:
    """A text on one line, without what would move a terminal's cursor or colour its words.

    >>> one_line("two\\n lines \\x1b[31m")
    'two lines [31m'
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        stated = [f"{key}={_told(item)}" for key, item in value.items() if item is not None]
        return ", ".join(stated) or "none"
    return "none" if value is None else str(value)
