"""The findings of the checks as one HTML file that opens anywhere, without a network.

Pictures are part of the file. Everything that comes from the dataset is escaped, and the page forbids itself
to load anything, so that a file's name cannot become part of the page. Equal input gives equal bytes.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from curate.checks import CHECKS
from curate.faults import SEVERITIES
from curate.gate import Limit
from curate.thumbnails import thumbnail

PICTURED = 24  # findings with pictures, of each check
PICTURES_EACH = 3  # of a finding about several files
RELATED = 20  # further files named with a finding
LISTED = 1000  # findings in all, of each check
MAX_PICTURE_BYTES = 6_000_000  # of all pictures together, which base64 makes a third larger
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        dataset: its name.
        date: when the checks ran, as text.
        version: of curate.
        n_images: in the dataset.
        findings: rows of curate.faults.to_rows, each with the check that made it.
        ran: the checks that ran.
        not_run: check -> why it could not run.
        not_judged: check -> categories that it could say nothing about.
        gate: limits and what was found; None where no gate was asked.
        fixes: what was mended, for people.
    """

    dataset: str
    date: str
    version: str
    n_images: int
    findings: Sequence[Row]
    ran: Sequence[str]
    not_run: Mapping[str, str] = field(default_factory=dict)
    not_judged: Mapping[str, str] = field(default_factory=dict)
    gate: Sequence[Limit] | None = None
    fixes: Sequence[str] = ()


def render(report: Report, samples: Iterable[Row], masks: Path) -> str:
    """The whole page.

    Args:
        report: what to tell.
        samples: rows of the sample table, for the pictures; each is decoded alone and let go.
        masks: folder of the canonical masks.
    """
    pictures = _Pictures({row["relative_path"]: row for row in samples}, masks)
    by_check: dict[str, list[Row]] = {}
    for row in report.findings:
        by_check.setdefault(row["check"], []).append(row)
    parts = {
        "title": f"{shown(report.dataset)}: checks",
        "head": "\n".join(_head(report)),
        "summary": "\n".join(_summary(report, by_check)),
        "sections": "\n".join(_section(name, by_check[name], pictures) for name in _worst_first(by_check)),
        "foot": f"Made by curate {shown(report.version)}. The outline in a picture is its mask or its boxes.",
    }
    template = files("curate").joinpath("check_report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def shown(text: object) -> str:
    r"""Text as it may stand in the page: escaped; what cannot be printed, or turns the reading, is spelt out.

    >>> shown("<b>\u202egnp.exe")
    '&lt;b&gt;\\u202egnp.exe'
    """
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))
    return escape(plain, quote=True)


class _Pictures:
    """Makes thumbnails one at a time, until the file would become too large."""

    def __init__(self, samples: Mapping[str, Row], masks: Path) -> None:
        self.samples, self.masks = samples, masks
        self.left = MAX_PICTURE_BYTES
        self.made: dict[str, bytes | None] = {}

    def figure(self, path: str, named: bool) -> str:
        """A picture of a file, with its name below if asked; "" when there is none."""
        row = self.samples.get(path)
        if row is None or self.left <= 0:
            return ""
        if path not in self.made:
            self.made[path] = thumbnail(row, self.masks)
        jpeg = self.made[path]
        if jpeg is None or len(jpeg) > self.left:
            return ""
        self.left -= len(jpeg)
        data = base64.b64encode(jpeg).decode()
        image = f'<img src="data:image/jpeg;base64,{data}" alt="{shown(path)}">'
        return f"<figure>{image}{f'<figcaption>{shown(path)}</figcaption>' if named else ''}</figure>"


def _head(report: Report) -> Iterator[str]:
    yield f"<h1>{shown(report.dataset)}</h1>"
    yield f'<p class="facts">Checked {shown(report.date)} with curate {shown(report.version)}</p>'
    yield '<ul class="tiles">'
    yield _tile(f"{report.n_images:,}", "images")
    for kind in SEVERITIES:
        count = sum(row["severity"] == kind for row in report.findings)
        yield _tile(f"{count:,}", kind if count == 1 else f"{kind}s", kind if count else "")
    if report.gate is not None:
        kept = all(limit.ok for limit in report.gate)
        yield _tile("kept" if kept else "not kept", "gate", "ok" if kept else "error")
    yield "</ul>"


def _tile(value: str, name: str, kind: str = "") -> str:
    return f'<li><b class="{kind}">{value}</b><span>{name}</span></li>'


def _summary(report: Report, by_check: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    if report.gate is not None:
        yield '<h2>Gate</h2><div class="gate">'
        yield from _table(("limit on", "n:at most", "n:found", "result"), map(_limit, report.gate))
        yield "</div>"
    if report.fixes:
        yield f"<h2>Mended in the workspace</h2><details><summary>{len(report.fixes)} fixes hold; "
        yield 'the files themselves are as they were.</summary><ul class="list inside">'
        yield from (f"<li>{shown(line)}</li>" for line in report.fixes[:LISTED])
        yield "</ul></details>"
    yield "<h2>Checks</h2>"
    rows = (_check(report, name, by_check.get(name, ())) for name in CHECKS)
    yield '<div class="checks">'
    yield from _table(("check", "looks for", "result", "n:findings", "n:share of images"), filter(None, rows))
    yield "</div>"
    if by_check:
        yield "<h2>Findings</h2>"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """A table; heads that begin with "n:" are of columns of numbers, rows are (class, cells)."""
    kinds = [' class="n"' if head.startswith("n:") else "" for head in heads]
    titles = [
        f'<th{kind} scope="col">{head.removeprefix("n:")}</th>'
        for head, kind in zip(heads, kinds, strict=True)
    ]
    yield f'<div class="scroll"><table><thead><tr>{"".join(titles)}</tr></thead><tbody>'
    for kind, cells in rows:
        content = "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, cells, strict=True))
        yield f'<tr class="{kind}">{content}</tr>'
    yield "</tbody></table></div>"


def _limit(limit: Limit) -> tuple[str, list[str]]:
    state = f'<span class="{"ok" if limit.ok else "error"}">{shown(limit.state)}</span>'
    return "", [shown(limit.title), limit.shown(limit.limit), limit.shown(limit.found), state]


def _check(report: Report, name: str, found: Sequence[Row]) -> tuple[str, list[str]] | None:
    """The row of a check in the summary; None when it was not asked for."""
    about = shown(CHECKS[name].summary)
    if name in report.not_run:
        return "none", [
            f"<code>{name}</code>",
            about,
            f"could not run: {shown(report.not_run[name])}",
            "",
            "",
        ]
    if name not in report.ran:
        return None
    few = f" Not judged: {shown(report.not_judged[name])}." if name in report.not_judged else ""
    if not found:
        nothing = few.strip() or '<span class="ok">nothing</span>'
        return "none", [f"<code>{name}</code>", about, nothing, "0", ""]
    concerned = {path for row in found for path in (row["relative_path"], *row["related"]) if path}
    share = (
        f"{len(concerned) / report.n_images:.3f}".removeprefix("0") if report.n_images and concerned else ""
    )
    link = f'<a href="#check-{name}"><code>{name}</code></a>'
    return "", [link, about, f"{_counted(found)}{few}", f"{len(found):,}", share]


def _counted(found: Sequence[Row]) -> str:
    """Findings by severity: "2 errors, 1 note"."""
    parts = []
    for kind in SEVERITIES:
        if count := sum(row["severity"] == kind for row in found):
            parts.append(f'<span class="{kind}">{count:,} {kind}{"s" if count > 1 else ""}</span>')
    return ", ".join(parts)


def _worst_first(by_check: Mapping[str, Sequence[Row]]) -> list[str]:
    """The checks that found something: those with errors, with warnings, with notes only."""
    worst = {name: min(SEVERITIES.index(row["severity"]) for row in rows) for name, rows in by_check.items()}
    return sorted((name for name in CHECKS if name in by_check), key=lambda name: worst[name])


def _section(name: str, found: Sequence[Row], pictures: _Pictures) -> str:
    """A check's findings: by code, first those with pictures, then a list."""
    by_code: dict[tuple[int, str], list[Row]] = {}
    for row in found:
        by_code.setdefault((SEVERITIES.index(row["severity"]), row["code"]), []).append(row)
    worst = min(by_code)[0]
    out = [f'<details id="check-{name}"{" open" if SEVERITIES[worst] == "error" else ""}><summary>']
    about = f'<span class="about">{shown(CHECKS[name].summary)}</span>'
    out.append(f"<h3><code>{name}</code></h3> {_counted(found)} {about}")
    out.append('</summary><div class="inside">')
    n_pictured, n_listed = PICTURED, LISTED
    for (severity, code), rows in sorted(by_code.items()):
        group, used = _group(SEVERITIES[severity], code, rows[:n_listed], pictures, n_pictured)
        out.append(group)
        n_pictured, n_listed = n_pictured - used, max(0, n_listed - len(rows))
    if len(found) > LISTED:
        out.append(f"<p>{len(found) - LISTED:,} more are not listed here; see curate check --table.</p>")
    return "\n".join([*out, "</div></details>"])


def _group(
    kind: str, code: str, rows: Sequence[Row], pictures: _Pictures, n_pictured: int
) -> tuple[str, int]:
    """Findings of one code; and how many of them have pictures."""
    remedies = {row["remedy"] for row in rows}
    cards: list[str] = []
    items: list[str] = []
    for row in rows:
        own = f" {row['remedy']}" if len(remedies) > 1 else ""
        text = f"{shown(row['message'])}{shown(own)}{_related(row)}"
        figures = _figures(row, pictures) if len(cards) < n_pictured else []
        if figures:
            wide = ' class="wide"' if len(figures) > 1 else ""
            together = f'<div class="pictures">{"".join(figures)}</div>'
            cards.append(f"<li{wide} data-finding>{together}<p>{text}</p></li>")
        else:
            items.append(f"<li data-finding>{text}</li>")
    head = f'<p class="remedy"><b class="{kind}"><code>{shown(code)}</code></b>'
    head += f" {shown(remedies.pop())}</p>" if len(remedies) == 1 else "</p>"
    parts = [head]
    parts += [f'<ul class="cards">{"".join(cards)}</ul>'] if cards else []
    parts += [f'<ul class="list">{"".join(items)}</ul>'] if items else []
    return f"<div data-group>{''.join(parts)}</div>", len(cards)


def _figures(row: Row, pictures: _Pictures) -> list[str]:
    paths = [row["relative_path"], *row["related"]][:PICTURES_EACH]
    return [figure for path in paths if (figure := pictures.figure(path, named=len(paths) > 1))]


def _related(row: Row) -> str:
    """The other files of a finding that its message does not name, the first of them."""
    named = [path for path in row["related"] if path not in row["message"]]
    more = f" and {len(named) - RELATED:,} more" if len(named) > RELATED else ""
    return f" <code>{shown(', '.join(named[:RELATED]))}</code>{more}" if named else ""
