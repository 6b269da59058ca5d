"""YAML and TOML files of settings: bombs, tags, options of the wrong type, paths that lead outside."""

import json
import re
import tomllib
from random import Random

from tests.fuzz.mutations import TEXT, WORDS, Mutation, every_path_replaced, path_replaced
from tests.fuzz.paths import HOSTILE_PATHS
from tests.fuzz.structured import DEEP, deep

OPTIONS = (
    "table", "columns", "codes", "values", "constants", "header_row", "decimal", "day_first", "encoding",
    "sheet", "trust", "prefix", "category", "box_unit", "mask_rule", "image", "root", "label",
)  # fmt: skip
VALUES = (
    "1", "true", '"x"', '["x"]', "[1, 2]", '{a = "b"}', "{image = 1}", "1.5", '"utf_16"', '"rot13"', "-5",
    '"*"',
)  # fmt: skip


def alias_bomb(content: bytes, rng: Random) -> bytes:
    """Nine levels of nine references to the level below: 10**9 values in a few lines."""
    levels = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)]
    return b"\n".join([*levels, b"names: *a9", content])


def python_tag(content: bytes, rng: Random) -> bytes:
    tag = rng.choice(
        (b"!!python/object/apply:os.system ['exit 1']", b"!!python/name:os.system", b"!!binary x")
    )
    return content + b"\nextra: " + tag + b"\n" + rng.choice((b"", b"names: " + tag + b"\n"))


def yaml_value(content: bytes, rng: Random) -> bytes:
    """What follows one colon becomes something else."""
    return _after(content, rng, rb":[^\n]*", b": ", _yaml_words(rng))


def yaml_path(content: bytes, rng: Random) -> bytes:
    return _after(content, rng, rb":[^\n]*", b": ", json.dumps(rng.choice(HOSTILE_PATHS)).encode())


def yaml_deep(content: bytes, rng: Random) -> bytes:
    return (
        rng.choice((b"names: " + b"[" * DEEP, b"- " * 50_000, b"? " * 20_000, b"a: " + b"{a: " * 5000))
        + content
    )


def yaml_merge(content: bytes, rng: Random) -> bytes:
    return content + rng.choice(
        (b"\n<<: *x\n", b"\n? [a, b]\n: c\n", b"\n1: 2\n", b"\n--- a\n", b"\n\tx: y\n", b"\n%YAML 9.9\n")
    )


def _yaml_words(rng: Random) -> bytes:
    words = (
        "[]",
        "{}",
        "null",
        "~",
        "[[[]]]",
        "{0: }",
        "!!int x",
        "|",
        ">",
        "&a",
        "*a",
        "- ",
        "2026-01-01",
        "1e3",
    )
    return rng.choice((*words, *(json.dumps(word) for word in WORDS))).encode()


def _after(content: bytes, rng: Random, pattern: bytes, sign: bytes, word: bytes) -> bytes:
    found = list(re.finditer(pattern, content))
    if not found:
        return content + word
    match = rng.choice(found)
    return content[: match.start()] + sign + word + content[match.end() :]


YAML: tuple[Mutation, ...] = (
    *TEXT, alias_bomb, alias_bomb, python_tag, python_tag, yaml_deep, yaml_deep, yaml_merge, yaml_merge,
    *[yaml_value] * 8, *[yaml_path] * 6, path_replaced, every_path_replaced,
)  # fmt: skip


def toml_value(content: bytes, rng: Random) -> bytes:
    words = (
        "1",
        "-1",
        "1e999",
        "nan",
        "true",
        "[]",
        "{}",
        "[1]",
        '["a", 1]',
        "2026-01-01",
        '""',
        '"x"',
        "{a = {}}",
    )
    return _after(content, rng, rb"= [^\n]*", b"= ", rng.choice(words).encode())


def toml_path(content: bytes, rng: Random) -> bytes:
    word = json.dumps(rng.choice(HOSTILE_PATHS)).replace("\\ud800", "\\u0000")
    return _after(content, rng, rb"= [^\n]*", b"= ", word.encode())


def toml_key(content: bytes, rng: Random) -> bytes:
    """One more option, known or not, of any type."""
    given = tomllib.loads(content.decode())
    name = rng.choice([name for name in OPTIONS if name not in given])
    return f"{name} = {rng.choice(VALUES)}\n".encode() + content


TOML: tuple[Mutation, ...] = (
    *TEXT, *[toml_value] * 5, *[toml_path] * 5, *[toml_key] * 8, deep,
)  # fmt: skip
