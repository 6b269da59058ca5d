"""What an inspection machine's result and codes, and a person's verdict on them, make of one row of a table.

A machine's verdict is not the truth: much of what it stops are false calls, and what it passes nobody looks
at. So a person's verdict overrules it, a code may stand for a false call, and with `trust="none"` the machine
is not believed at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate import table_options
from curate.cell_values import LABELS, label
from curate.errors import DataFault
from curate.faults import Fault
from curate.table_columns import Names, resolve
from curate.table_records import Record, records
from curate.tabular import open_sheet
from curate.walking import Tree

BETWEEN_CODES = re.compile(r"[;,|]")
CODE_COLUMNS: Names = {
    "machine_code": ("code", "defectcode", "ngcode", "errorcode"),
    "defect_type": ("defecttype", "type", "defect", "defectname"),
    "label": ("meaning",),
}
TRUST = ("machine", "none")


@dataclass(frozen=True)
class Code:
    """What a machine's code stands for; `defect_type` is None where the label is not "anomalous"."""

    label: str
    defect_type: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What one row says of its image.

    Attributes:
        label: normal, anomalous or unknown; None where the row says nothing.
        types: defect types, without repetition.
        by_person: whether a person said so.
        problems: code, message and remedy of what is wrong, to follow the row's place.
    """

    label: str | None
    types: tuple[str, ...] = ()
    by_person: bool = False
    problems: tuple[tuple[str, str, str], ...] = ()


def codes(tree: Tree, options: table_options.Options, faults: list[Fault]) -> dict[str, Code] | None:
    """The option codes: machine code in lower case -> what it stands for; None without the option.

    Args:
        faults: gets rows that repeat, contradict or lack something; the code is then not known.

    Raises:
        DataFault, Missing, Unreadable: the table cannot be used.
        ValueError: a code maps to something else than a defect type or a label.
    """
    given = options.values.get("codes")
    if given is None:
        return None
    if isinstance(given, Mapping):
        try:
            return {str(code).casefold(): _code(str(code), stands_for) for code, stands_for in given.items()}
        except ValueError as error:
            raise (DataFault(f"DataFault: {error}.") if "codes" in options.of_file else error) from error
    path, name, folder = table_options.named_file(tree, given, "codes" in options.of_file)
    sheet = open_sheet(path, name, folder, options.text("encoding"))
    columns = resolve(sheet, {}, CODE_COLUMNS, needed=("machine_code",))
    found: dict[str, tuple[Record, Code]] = {}
    for row in records(sheet, columns, faults):
        said = row.values
        try:
            if "machine_code" not in said:
                raise ValueError("has no code")
            code = _code(
                said["machine_code"], {key: said[key] for key in ("label", "defect_type") if key in said}
            )
            earlier = found.setdefault(said["machine_code"].casefold(), (row, code))
            if earlier[1] != code:
                raise ValueError(f"says of {said['machine_code']} otherwise than row {earlier[0].row}")
        except ValueError as error:
            message = f"{row.where}: {error}; the row is not used."
            faults.append(Fault("bad_code_row", "error", name, message, "Correct the table of codes."))
    if not found:
        raise DataFault(f"DataFault: the table of codes {name} has no code that can be used. Correct it.")
    return {code: entry for code, (_, entry) in found.items()}


def _code(code: str, stands_for: Any) -> Code:
    if isinstance(stands_for, str):
        stands_for = {"label": stands_for} if label(stands_for) else {"defect_type": stands_for}
    if not isinstance(stands_for, Mapping):
        raise ValueError(f"the code {code} must map to a defect type or a label, not to {stands_for!r}")
    word, defect_type = stands_for.get("label"), stands_for.get("defect_type")
    if word is None and defect_type is None:
        raise ValueError(f"the code {code} has neither a defect type nor a label")
    said = label(str(word)) if word is not None else "anomalous"
    if said is None:
        raise ValueError(
            f'the code {code} has the label "{word}"; known: {", ".join(sorted(set(LABELS.values())))}'
        )
    return Code(said, str(defect_type) if defect_type and said == "anomalous" else None)


def listed(text: str, known: Mapping[str, Code] | None) -> list[str]:
    """The codes in one cell; a cell that is a known code as a whole is one.

    >>> listed("D01; D07", None)
    ['D01', 'D07']
    """
    if known is not None and text.casefold() in known:
        return [text]
    return [code for part in BETWEEN_CODES.split(text) if (code := part.strip())]


def judged(values: Mapping[str, str], known: Mapping[str, Code] | None, trust: str) -> Verdict:
    """What a row says, with trust in the machine or without.

    A person's verdict holds where there is one. Else, with trust="machine": OK is normal, NG with a known
    code is what the code stands for, NG without any code is anomalous without a type, and a known code
    without a result counts like NG. Codes that the table of codes does not have leave the image unknown;
    without a table of codes every code is its own defect type. OK together with a defect is a contradiction,
    so unknown.
    """
    meant, types, problems = _of_codes(values, known)
    person = values.get("verified_label")
    if person is not None:
        said = label(person)
        if said is None:
            return Verdict("unknown", (), True, (*problems, _odd_word("verified_label", person)))
        named = _named(values.get("verified_defect_type")) or types
        return Verdict(said, named if said == "anomalous" else (), True, problems)
    if trust == "none":
        return Verdict("unknown", (), False, problems)
    result = values.get("result")
    if result is None:
        return Verdict(meant, types, False, problems)
    said = label(result)
    if said is None:
        return Verdict("unknown", (), False, (*problems, _odd_word("result", result)))
    if said == "normal" and meant == "anomalous":
        told = f'says result "{result}" but names a defect'
        return Verdict("unknown", (), False, (*problems, ("contradicting_rows", told, "Correct the row.")))
    if said == "anomalous":
        return Verdict(meant or said, types, False, problems)
    return Verdict("unknown" if meant == "unknown" else said, (), False, problems)


def _of_codes(
    values: Mapping[str, str], known: Mapping[str, Code] | None
) -> tuple[str | None, tuple[str, ...], tuple[tuple[str, str, str], ...]]:
    """Label and types that the codes of a row amount to, and codes that are not known."""
    meant: list[Code] = []
    problems = []
    for code in listed(values.get("machine_code", ""), known):
        if known is None:
            meant.append(Code("anomalous", code))
        elif code.casefold() in known:
            meant.append(known[code.casefold()])
        else:
            told = f'has the code "{code[:60]}", which the table of codes does not have'
            problems.append(("unknown_code", told, "Add it to the table of codes."))
            meant.append(Code("unknown"))
    named = _named(values.get("defect_type"))
    if named:  # the table's own words come before those of the codes
        meant = [code for code in meant if code.label != "anomalous"]
        meant += [Code("anomalous", name) for name in named]
    labels = {code.label for code in meant}
    said = next((one for one in ("anomalous", "unknown", "normal") if one in labels), None)
    types = dict.fromkeys(code.defect_type for code in meant if code.defect_type)
    return said, tuple(types) if said == "anomalous" else (), tuple(problems)


def _named(text: str | None) -> tuple[str, ...]:
    names = [name.strip() for name in (text or "").split(";")]
    return tuple(dict.fromkeys(name for name in names if name and label(name) != "normal"))


def _odd_word(column: str, word: str) -> tuple[str, str, str]:
    told = f'has the {column} "{word[:60]}", which is not known; the image counts as unknown'
    return "unknown_label", told, f'Say what it means: values = {{"{column}": {{"{word[:60]}": "normal"}}}}.'
