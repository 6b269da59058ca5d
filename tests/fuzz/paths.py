"""File names and paths that a dataset must not be able to harm with."""

import unicodedata

CANARY = "canary"
HOSTILE_PATHS = (
    f"../{CANARY}.png", f"../../source/../{CANARY}.png", f"../../../../../../{CANARY}.png", "/etc/passwd",
    f"..\\{CANARY}.png", f"a/../../{CANARY}.png", f"./.././{CANARY}.png", f"....//{CANARY}.png",
    "C:\\Windows\\win.ini", "C:secret.png", "\\\\server\\share\\a.png", f"file:///{CANARY}.png",
    "http://localhost:1/a.png", f"%2e%2e/{CANARY}.png", f"..%2f{CANARY}.png", "~/a.png", "~root/a.png",
    "$HOME/a.png", "`id`.png", f"..\u2215{CANARY}.png", f"\uff0e\uff0e/{CANARY}.png", "", ".", "..", "/",
    "\x00",
    f"../{CANARY}.png\x00.png", "a" * 5000, "a/" * 2000, f"//{CANARY}.png", "/dev/zero", "/dev/stdin",
    "CON", "*", "**/*.png", "[", f"../{CANARY}*", "-rf", "a.png/", "\ud800",
)  # fmt: skip

# Stems and folder names; a file keeps its suffix.
HOSTILE_NAMES = (
    "new\nline", "car\rriage", "tab\tbed", "'quo\"ted`", "<script>alert(1)<", "<img src=x onerror=alert(1)>",
    "x" * 240, "caf\udce9", "\udcff\udcfe", "-rf", "dots...", " blank ", "\u0440\u0430\u0434\u0435",
    "\u202egnp", "ze\u200bro", unicodedata.normalize("NFD", "é"), "🙂", "%2e%2e%2f", "CON", "C:x", "$(id)",
    f"..\\..\\{CANARY}", "#page=2", "{0}", "%s", "a;b", "a,b", "&amp;", "..x", "\x01\x1b[31m", "\u2028",
    "\ufeffmark", "[a]", "*?", "NULL", "\ufb01", "\u0131", "a.b.c", "_mask", "\ufffe",
)  # fmt: skip
