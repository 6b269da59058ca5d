"""Reads annotation files that anybody may have written: JSON, YAML, CSV, XML and lists.

Nothing in them is trusted: sizes and depths are limited, XML entities are refused, and a path that they name
is looked up in the listed tree only, never on the disk. What cannot be read is reported and counts as empty.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from curate.faults import Fault, shown
from curate.walking import Tree

MAX_BYTES = 1 << 30
MAX_XML_BYTES = 64 << 20
MAX_YAML_BYTES, MAX_YAML_DEPTH = 256 << 10, 20  # PyYAML takes seconds for a megabyte
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
DRIVE = re.compile(r"[A-Za-z]:")


def text(tree: Tree, relative_path: str, faults: list[Fault], max_bytes: int = MAX_BYTES) -> str | None:
    """A text file in UTF-8 (a byte order mark is dropped); None, and a fault, when it cannot be read."""
    path = tree.files[relative_path]
    try:
        size = path.stat().st_size
        if size > max_bytes:
            problem = f"has {size} bytes, more than {max_bytes}"
        else:
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start})"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    faults.append(unusable(relative_path, problem))
    return None


def json_object(tree: Tree, relative_path: str, faults: list[Fault]) -> dict[str, Any] | None:
    """A JSON file that holds an object; None, and a fault, otherwise."""
    content = json_value(tree, relative_path, faults)
    if content is None or isinstance(content, dict):
        return content
    faults.append(unusable(relative_path, f"holds a JSON {type(content).__name__}, expected an object"))
    return None


def json_value(tree: Tree, relative_path: str, faults: list[Fault]) -> Any:
    """A JSON file's content; None, and a fault, when it is none. NaN and infinities are refused."""
    content = text(tree, relative_path, faults)
    if content is None:
        return None
    try:
        return _storable(json.loads(content, parse_constant=_refuse), content)
    except RecursionError:
        problem = "is nested too deeply to be an annotation file"
    except ValueError as error:
        problem = f"is not JSON ({error})"
    faults.append(unusable(relative_path, problem))
    return None


def _storable(value: Any, content: str) -> Any:
    """The value, unless an escape in its text stands for half a character, which no file can hold."""
    if SURROGATE.search(content):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("half a surrogate pair is no character") from error
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def yaml_object(tree: Tree, relative_path: str, faults: list[Fault]) -> dict[str, Any] | None:
    """A YAML file that holds a mapping, every scalar as text; None, and a fault, otherwise.

    Text, because YAML would turn a defect type called "no" or "1e3" into something else. Anchors are refused:
    a few lines of them can stand for a list that fills the memory.
    """
    import yaml

    content = text(tree, relative_path, faults, MAX_YAML_BYTES)
    if content is None:
        return None
    try:
        depth = 0
        for event in yaml.parse(content, Loader=yaml.BaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_YAML_DEPTH:
                raise ValueError("aliases and deep nesting are not read")
        found = _storable(yaml.load(content, Loader=yaml.BaseLoader), content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        faults.append(unusable(relative_path, f"is not usable YAML ({' '.join(str(error).split())[:200]})"))
        return None
    if isinstance(found, dict) and all(isinstance(key, str) for key in found):
        return found
    faults.append(unusable(relative_path, "does not hold a YAML mapping of names to values"))
    return None


def csv_rows(
    tree: Tree, relative_path: str, faults: list[Fault], needed: Iterable[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with a header, each with its line number; empty, and a fault, when it is none.

    A row with more cells than the header is left out and reported: which cell is which cannot be told.

    Args:
        needed: columns without which the file is of no use.
    """
    content = text(tree, relative_path, faults)
    if content is None:
        return []
    try:
        reader = csv.DictReader(io.StringIO(content, newline=""))
        names = reader.fieldnames or []
        if absent := [name for name in needed if name not in names]:
            found = ", ".join(map(str, names)) or "nothing"
            problem = f"lacks the columns {', '.join(absent)}; found {shown(found[:200])}"
            faults.append(unusable(relative_path, problem))
            return []
        rows = []
        for row in reader:
            if excess := [cell for cell in row.pop(None, []) if cell.strip()]:
                problem = f"has {len(excess)} cells more than the header; quote cells with commas"
                faults.append(bad_entry(relative_path, f"line {reader.line_num}", problem))
                continue
            rows.append((reader.line_num, {str(key): value or "" for key, value in row.items()}))
        return rows
    except csv.Error as error:
        faults.append(unusable(relative_path, f"is not a CSV table ({error})"))
        return []


def xml_root(tree: Tree, relative_path: str, faults: list[Fault]) -> Element | None:
    """The root element of an XML file; None, and a fault, when it is none, or declares entities."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    content = text(tree, relative_path, faults, MAX_XML_BYTES)
    if content is None:
        return None
    try:
        root: Element = fromstring(content.encode(), forbid_dtd=True)
        return root
    except DefusedXmlException as error:
        problem = f"has a document type or entities, which are not read ({type(error).__name__})"
    except (ParseError, ValueError, RecursionError) as error:
        problem = f"is not XML ({error})"
    faults.append(unusable(relative_path, problem))
    return None


def located(tree: Tree, folder: str, named: object) -> str | None:
    """The relative path of a file that an annotation names, or None when the tree has no such file.

    Backslashes count as slashes. Absolute paths and those that leave the tree are never followed.

    Args:
        folder: relative folder that the name starts from ("" is the root).
    """
    if not isinstance(named, str) or not named.strip() or "\x00" in named:
        return None
    name = unicodedata.normalize("NFC", named.strip().replace("\\", "/"))
    if name.startswith("/") or DRIVE.match(name):
        return None
    parts: list[str] = [part for part in PurePosixPath(folder).parts if part != "."]
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    path = "/".join(parts)
    return path if path in tree.files else None


def leaves(named: object) -> bool:
    """Whether a named path is absolute or climbs out of where it starts: worth a fault of its own.

    >>> leaves("../../etc/passwd"), leaves("C:\\\\x.png"), leaves("a/../b.png")
    (True, True, False)
    """
    name = str(named).strip().replace("\\", "/")
    if name.startswith("/") or DRIVE.match(name):
        return True
    depth = 0
    for part in name.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def unusable(relative_path: str, problem: str) -> Fault:
    """An annotation file that cannot be used."""
    message = f"{relative_path} {problem}; it is not used."
    return Fault("bad_annotation_file", "error", relative_path, message, "Correct or restore it.")


def bad_entry(relative_path: str, where: str, problem: str, remedy: str = "Correct the entry.") -> Fault:
    """An entry of an annotation file that cannot be used.

    Args:
        relative_path: the annotation file.
        where: place in it: "line 7", "images[3]".
    """
    message = f"{relative_path}, {where}: {problem}; it is left out."
    return Fault("bad_annotation", "error", relative_path, message, remedy)


def missing_image(relative_path: str, where: str, named: object) -> Fault:
    """An entry that names an image which is not there, or which lies outside of the dataset."""
    said = shown(str(named)[:200])
    if leaves(named):
        message = f'{relative_path}, {where}: "{said}" leads out of the dataset; it is not followed.'
        return Fault("path_outside", "error", relative_path, message, "Name files inside of the dataset.")
    message = f'{relative_path}, {where}: the image "{said}" is not in the dataset.'
    return Fault("missing_image", "error", relative_path, message, "Add the image, or remove the entry.")
