"""Damage to the bytes of a file, whatever it holds, and to the structure of a text file."""

from collections.abc import Callable
from random import Random

from tests.fuzz.paths import HOSTILE_PATHS

Mutation = Callable[[bytes, Random], bytes]
MAGICS = (b"GIF89a", b"MZ\x90\x00", b"%PDF-1.7", b"PK\x03\x04", b"\x7fELF", b"RIFF", b"\x00\x00\x00\x0cftyp")
N_REPEATED = 3000
WORDS = (
    "", " ", "-1", "0", "1e999", "-1e999", "nan", "inf", "1e308", "9" * 400, "9" * 5000, "0x10", "1_000",
    "\u0663", "½", "1,5", "1.234.567,8", "true", "null", "=cmd|' /C calc'!A0", "x" * 200_000, "\u202egnp.a",
    "<script>alert(1)</script>", "{0}", "%s%n", "a\x00b", '"', "\u2028", "🙂", "NG;OK;;",
    "99999999999999999999",
)  # fmt: skip


def cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) or 1)]


def headless(content: bytes, rng: Random) -> bytes:
    return content[rng.randrange(len(content) or 1) :]


def bits(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def emptied(content: bytes, rng: Random) -> bytes:
    return b""


def magic(content: bytes, rng: Random) -> bytes:
    sign = rng.choice(MAGICS)
    return sign + content[len(sign) :]


def zeroed(content: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: Random) -> bytes:
    return rng.randbytes(len(content))


def inserted(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]


def doubled(content: bytes, rng: Random) -> bytes:
    return content + content


def exchanged(content: bytes, rng: Random) -> bytes:
    """Two stretches change places."""
    a, b, c, d = sorted(rng.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


ANY: tuple[Mutation, ...] = (
    cut, headless, bits, emptied, magic, zeroed, noise, inserted, doubled, exchanged,
)  # fmt: skip


def latin_1(content: bytes, rng: Random) -> bytes:
    return content.replace(b"a", "ä".encode("latin-1")).replace(b"o", b"\xf6", 1)


def utf_16(content: bytes, rng: Random) -> bytes:
    return content.decode().encode(rng.choice(("utf-16", "utf-16-be", "utf-16-le", "utf-32")))


def marked(content: bytes, rng: Random) -> bytes:
    return rng.choice((b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 3, b"\xff\xfe", b"\xfe\xff")) + content


def line_ends(content: bytes, rng: Random) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(
        b"\n", rng.choice((b"\r\n", b"\r", b"\n\n\n", b"\x0b", b"\x85"))
    )


def zero_bytes(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + bytes(rng.choice((1, 2, 4096))) + content[at:]


def half_characters(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return (
        content[:at] + rng.choice((b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80", b"\xc0\xaf")) + content[at:]
    )


def right_to_left(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + "\u202e\u200b\u2066\ufeff".encode() + content[at:]


def endless_line(content: bytes, rng: Random) -> bytes:
    return content + rng.choice((b"x", b",", b" ", b"9", b"[", b"\t", b";", b"&")) * 1_000_000


def many_lines(content: bytes, rng: Random) -> bytes:
    return content + rng.choice((b"\n", b"x\n", b",\n", b"0 0 0\n")) * 20_000


def lines_again(content: bytes, rng: Random) -> bytes:
    """One line thousands of times."""
    lines = content.splitlines(keepends=True) or [b"\n"]
    at = rng.randrange(len(lines))
    return b"".join([*lines[:at], *[lines[at].rstrip(b"\r\n") + b"\n"] * N_REPEATED, *lines[at:]])


def lines_away(content: bytes, rng: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if rng.random() < 0.6)


def lines_shuffled(content: bytes, rng: Random) -> bytes:
    lines = content.splitlines()
    rng.shuffle(lines)
    return b"\n".join(lines)


TEXT: tuple[Mutation, ...] = (
    latin_1, utf_16, marked, line_ends, zero_bytes, half_characters, right_to_left, endless_line, many_lines,
    lines_again, lines_away, lines_shuffled,
)  # fmt: skip


def word_replaced(content: bytes, rng: Random) -> bytes:
    """One word of a list or a line of numbers becomes something else."""
    return _with_word(content, rng, rng.choice(WORDS))


def path_replaced(content: bytes, rng: Random) -> bytes:
    """One word becomes a path that leads out of the dataset."""
    return _with_word(content, rng, rng.choice(HOSTILE_PATHS))


def every_path_replaced(content: bytes, rng: Random) -> bytes:
    """All words that look like names of files lead out."""
    words = content.decode().split(" ")
    hostile = rng.choice(HOSTILE_PATHS)
    return " ".join(hostile if "." in word or "/" in word else word for word in words).encode()


def _with_word(content: bytes, rng: Random, word: str) -> bytes:
    lines = [line.split(" ") for line in content.decode().split("\n")]
    line = rng.choice(lines)
    line[rng.randrange(len(line))] = word
    return "\n".join(" ".join(words) for words in lines).encode("utf-8", "surrogatepass")


WORDED: tuple[Mutation, ...] = (*TEXT, word_replaced, word_replaced, path_replaced, every_path_replaced)
