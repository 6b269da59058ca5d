"""Settings of the readers that use tables: from the command line, a recipe, or a file beside the images."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.annotation_files import located
from curate.errors import CurateError, DataFault, Missing, Unreadable
from curate.faults import shown
from curate.table_columns import Names, check_given
from curate.tabular import SUFFIXES, Sheet, open_sheet
from curate.walking import Tree

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "table": ((str, list), "a path, a pattern or a list of them"),
    "columns": ((Mapping, str), "a mapping from our column to the table's, or a TOML or JSON file with one"),
    "codes": ((Mapping, str), "a table of codes, or a mapping from code to defect type"),
    "values": ((Mapping,), "a mapping from our column to a mapping of words"),
    "constants": ((Mapping,), "a mapping from our column to a value"),
    "day_first": ((bool,), "true or false"),
    "header_row": ((int,), "a whole number"),
}
TEXT = ((str,), "text")


@dataclass(frozen=True)
class Options:
    """What holds for one reading.

    Attributes:
        values: option -> value; only those that are set.
        of_file: options that the file beside the images sets; paths in them stay below the root.
    """

    values: dict[str, Any]
    of_file: frozenset[str]

    def text(self, name: str) -> str | None:
        """A text option."""
        value = self.values.get(name)
        return None if value is None else str(value)

    def mapping(self, name: str) -> dict[str, Any]:
        """An option that maps, empty when it is not set."""
        return dict(self.values.get(name) or {})


def effective(tree: Tree, file_name: str, given: Mapping[str, Any]) -> Options:
    """The options given, completed by those of the file `file_name` in the root.

    Args:
        given: every option that the reader has; None where it is not set.

    Raises:
        ValueError: an option given has the wrong type.
        DataFault: the file is not TOML, or has unknown or wrong options.
    """
    set_now = {name: _plain(name, value) for name, value in given.items() if value is not None}
    _check_types(set_now)
    stored: dict[str, Any] = {}
    if file_name in tree.files:
        stored = mapping_file(tree.files[file_name], file_name)
        if unknown := [name for name in stored if name not in given]:
            raise DataFault(
                f"DataFault: {file_name} has the unknown option {', '.join(unknown)}. "
                f"Known: {', '.join(given)}."
            )
        stored = {name: _plain(name, value) for name, value in stored.items()}
        try:
            _check_types(stored)
        except ValueError as error:
            raise DataFault(f"DataFault: {file_name}: {error}") from error
    return Options(stored | set_now, frozenset(set(stored) - set(set_now)))


@contextmanager
def settled(options: Options, file_name: str) -> Iterator[None]:
    """Make wrong options a fault of the file beside the images, where all come from it: nobody typed them.

    Raises:
        DataFault: instead of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        if options.of_file and options.of_file == set(options.values):
            raise DataFault(f"DataFault: {file_name}: {error}") from error
        raise


def _plain(name: str, value: Any) -> Any:
    """A product number is text, also where the command line takes it for a number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number and name not in KINDS else value


def _check_types(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kinds, wanted = KINDS.get(name, TEXT)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"The option {name} must be {wanted}, not {value!r}.")


def mapping_file(path: Path, name: str) -> dict[str, Any]:
    """A TOML or JSON file that holds a mapping.

    Raises:
        Unreadable: it is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise Unreadable(f"Unreadable: {shown(name)} is not a readable {kind} file ({error}).") from error
    if not isinstance(content, dict):
        raise Unreadable(f"Unreadable: {shown(name)} holds a {type(content).__name__}, expected a mapping.")
    return content


def columns_given(tree: Tree, options: Options, known: Names) -> dict[str, str]:
    """The option columns: our column -> theirs.

    Raises:
        ValueError, DataFault: it names a column that we do not have, or maps one to something else than text.
    """
    value = options.values.get("columns") or {}
    if isinstance(value, str):
        path, name, _ = named_file(tree, value, "columns" in options.of_file)
        value = mapping_file(path, name)
        value = value.get("columns", value)
    try:
        wrong = [str(ours) for ours, theirs in value.items() if not isinstance(theirs, str)]
        if wrong:
            raise ValueError(f"columns must map to texts; {', '.join(wrong)} does not.")
        check_given(value, known)
        for name in ("values", "constants"):
            check_given(options.mapping(name), known, name)
    except ValueError as error:
        raise (DataFault(f"DataFault: {error}") if "columns" in options.of_file else error) from error
    return dict(value)


def words(options: Options) -> dict[str, dict[str, str]]:
    """The option values: our column -> their word -> ours."""
    found = {}
    for ours, table in options.mapping("values").items():
        if not isinstance(table, Mapping):
            raise ValueError(f'The option values must map "{ours}" to a mapping of words, not to {table!r}.')
        found[ours] = {str(theirs): str(word) for theirs, word in table.items()}
    return found


def constants(options: Options) -> dict[str, str]:
    """The option constants: our column -> text."""
    return {ours: str(value) for ours, value in options.mapping("constants").items()}


def named_file(tree: Tree, text: str, only_inside: bool) -> tuple[Path, str, str]:
    """A file that an option names: below the root, else from the working directory.

    Args:
        only_inside: whether it must lie below the root, because the data itself names it.

    Returns:
        Its path, its name for messages, and the relative folder that its own paths start from.

    Raises:
        Missing: there is no such file.
    """
    inside = located(tree, "", text)
    if inside is None and not only_inside:
        outside = Path(text).expanduser()
        try:
            below = outside.resolve().relative_to(tree.root.resolve()).as_posix()
        except (ValueError, OSError):
            below = ""
        if below in tree.files:
            inside = below
        elif outside.is_file():
            return outside, outside.name, ""
    if inside is not None:
        return tree.files[inside], inside, inside.rpartition("/")[0]
    also = "" if only_inside else f" and from {Path.cwd()}"
    raise Missing(f'Missing: there is no file "{shown(text)}". Looked in {shown(tree.root)}{also}.')


def sheets(tree: Tree, options: Options, found: Iterable[str]) -> list[Sheet]:
    """The tables of the option table, opened; without it those `found`.

    Raises:
        Missing: a table is not there, or no file fits a pattern.
        Unreadable: a table cannot be read; see curate.tabular.
    """
    named = options.values.get("table")
    only_inside = "table" in options.of_file
    texts = [named] if isinstance(named, str) else named
    places: list[tuple[Path, str, str]] = []
    for text in texts if texts is not None else found:
        if not isinstance(text, str):
            raise ValueError(f"The option table must list paths, not {text!r}.")
        if "*" in text and text not in tree.files:
            fitting = [
                path
                for path in tree.files
                if Path(path).match(text) and Path(path).suffix.lower() in SUFFIXES
            ]
            if not fitting:
                raise Missing(f'Missing: no table below {shown(tree.root)} fits "{shown(text)}".')
            places += [(tree.files[path], path, path.rpartition("/")[0]) for path in fitting]
        else:
            places.append(named_file(tree, text, only_inside))
    extra = {"encoding": options.text("encoding"), "sheet": options.text("sheet")}
    header_row = int(options.values.get("header_row") or 1)
    opened = []
    for path, name, folder in places:
        opened.append(open_sheet(path, name, folder, header_row=header_row, **extra))
    return opened


def has_file(root: Path, name: str) -> bool:
    """Whether the root has a settings file of this name."""
    try:
        return (root / name).is_file()
    except (OSError, CurateError):
        return False
