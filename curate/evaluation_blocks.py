"""Building blocks of the evaluation's page: tables, and one chart for each question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from curate.chart_parts import fraction
from curate.charts import NORMAL, PALETTE, Dot, Line, Mark, dots, lines
from curate.check_report import shown
from curate.evaluation_words import FIGURES, MEASURES, counted, interval, title_of

Part = Mapping[str, Any]
PRO_LIMIT = 0.3  # false-positive rate that the curve of AUPRO 0.3 goes to


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; heads that begin with "n:" are of columns of numbers, the first cell of a row is its head."""
    kinds = [' class="n"' if head.startswith("n:") else "" for head in heads]
    titles = "".join(
        f'<th{kind} scope="col">{head.removeprefix("n:")}</th>'
        for head, kind in zip(heads, kinds, strict=True)
    )
    body = []
    for cells in rows:
        rest = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], cells[1:], strict=True))
        body.append(f'<tr><th scope="row">{cells[0]}</th>{rest}</tr>')
    told = f"<caption>{caption}</caption>" if caption else ""
    head = f"{told}<thead><tr>{titles}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{"".join(body)}</tbody></table></div>'


def figure(chart: str, caption: str = "", wide: bool = False) -> str:
    """A chart with what has to be said about it."""
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure{' class=wide' if wide else ''}>{chart}{told}</figure>"


def figures(part: Part, options: Part) -> str:
    """Every figure with its interval as a table, and notes on them below it."""
    out = _figures({**(part["image"] or {}), **(part["pixel"] or {})}, options)
    if part["object"]:
        told = "The figures of images where each part counts once, by its highest score"
        content = _figures(part["object"], options)
        out += f'<details class="small"><summary>{told}</summary>{content}</details>'
    return out


def _figures(estimates: Mapping[str, Part], options: Part) -> str:
    rows: list[list[str]] = []
    notes: list[str] = []
    known = [name for name in FIGURES if name in estimates]
    for metric in [*known, *(name for name in estimates if name not in FIGURES)]:
        estimate = estimates[metric]
        if metric == "precision_at_defect_rate" and options["defect_rate"] is None:
            continue
        if estimate["note"] and estimate["note"] not in notes:
            notes.append(estimate["note"])
        title, meaning = title_of(metric, options)
        mark = f"<sup>{notes.index(estimate['note']) + 1}</sup>" if estimate["note"] else ""
        about = f'<br><span class="about">{shown(meaning)}</span>' if meaning else ""
        rows.append([f"{shown(title)}{mark}{about}", *numbers_of(estimate)])
    below = "".join(f"<li>{shown(note)}</li>" for note in notes)
    content = table(("figure", "n:value", "n:interval", "n:parts"), rows)
    return content + (f'<ol class="hint">{below}</ol>' if below else "")


def numbers_of(estimate: Part) -> list[str]:
    """Value, interval and n of an estimate as cells."""
    value = "not known" if estimate["value"] is None else f"<b>{fraction(estimate['value'])}</b>"
    n = "" if estimate["n"] is None else f"{estimate['n']:,}"
    return [value, interval(estimate, bare=True), n]


def curves(part: Part, where: str) -> Iterator[str]:
    """ROC, precision and recall, and PRO, of images and of pixels, as far as they are there."""
    known = part["curves"]
    diagonal = Line("", (0, 1), (0, 1), colour="#8a93a3", dashed=True)
    plans: tuple[tuple[str, str, str, str, list[Line]], ...] = (
        ("roc", "ROC of images", "false-alarm rate", "found", [diagonal]),
        ("pr", "Precision and recall of images", "recall", "precision", []),
        ("pixel_roc", "ROC of pixels", "false-positive rate", "found", [diagonal]),
        ("pixel_pr", "Precision and recall of pixels", "recall", "precision", []),
        ("pixel_pro", "Region overlap (PRO)", "pixel false-positive rate", "overlap", []),
    )
    for key, title, x_label, y_label, extra in plans:
        if known.get(key) and known[key]["x"]:
            drawn = curve_line(known[key])
            limit = PRO_LIMIT if key == "pixel_pro" else 1.0
            chart = lines([*extra, upto(drawn, limit)], f"{title}, {where}", x_label, y_label, (0, limit))
            yield figure(f"<h4>{title}</h4>{chart}")


def upto(line: Line, limit: float) -> Line:
    """The part of a line at or left of a limit, with a point there."""
    inside = sum(x <= limit for x in line.x)
    if inside in (0, len(line.x)):
        return line
    share = (limit - line.x[inside - 1]) / (line.x[inside] - line.x[inside - 1])

    def cut(values: Sequence[float] | None) -> list[float] | None:
        if values is None:
            return None
        before, after = values[inside - 1], values[inside]
        return [*values[:inside], before + share * (after - before)]

    low, high = cut(line.low), cut(line.high)
    return Line(line.name, cut(line.x) or [], cut(line.y) or [], low, high, line.colour, line.dashed)


def curve_line(curve: Part, name: str = "", colour: str = NORMAL) -> Line:
    """A curve with its band; places where the band is not known lie on the line."""
    band = None
    if curve["low"] is not None and curve["high"] is not None:
        band = [
            [y if end is None else end for end, y in zip(curve[side], curve["y"], strict=True)]
            for side in ("low", "high")
        ]
    low, high = band or (None, None)
    return Line(name, curve["x"], curve["y"], low, high, colour)


def defect_types(part: Part, where: str) -> str:
    """What becomes of each kind of defect at the threshold: recall as dots, and the counts."""
    rows = [row for row in part["by_defect_type"] if row["recall"] is not None]
    if not rows:
        return '<p class="none">No anomalous image, or no threshold: nothing to tell by kind of defect.</p>'
    found = [
        Dot(
            row["defect_type"] or "not stated", row["recall"]["value"],
            row["recall"]["low"], row["recall"]["high"], f"{row['n_found']} of {row['n']}", PALETTE[1],
        )
        for row in rows
    ]  # fmt: skip
    chart = figure(
        dots(found, f"Images found by kind of defect, {where}", "share of the images found"), wide=True
    )
    reviewed = any(row["n_reviewed"] for row in rows)
    heads = ("truth", "n:alarm", *(("n:to a person",) if reviewed else ()), "n:pass", "n:images")
    decided, counts = part["at_threshold"], part["counts"]
    cells = []
    for row in rows:
        seen = [f"{row['n_reviewed']:,}"] if reviewed else []
        name = shown(row["defect_type"] or "not stated")
        cells.append([name, f"{row['n_found']:,}", *seen, f"{row['n_missed']:,}", f"{row['n']:,}"])
    passed = counts["n_normal"] - decided["n_false_alarms"] - decided["n_reviewed_normal"]
    seen = [f"{decided['n_reviewed_normal']:,}"] if reviewed else []
    cells.append(
        ["normal", f"{decided['n_false_alarms']:,}", *seen, f"{passed:,}", f"{counts['n_normal']:,}"]
    )
    return chart + table(heads, cells)


def region_sizes(part: Part, where: str) -> str:
    """Recall of regions by two meanings of found, of all and by size, and the smallest size found."""
    regions = part["regions"]
    if regions is None:
        return '<p class="none">No region with a known outline, or no threshold for the maps.</p>'
    colours, sizes = {"found_any": PALETTE[0], "found_overlap": PALETTE[2]}, regions["sizes"]
    rows = []
    for key, colour in colours.items():
        name = f"all, {MEASURES[key].format(**regions)}"
        rows.append(_dot(name, regions[key], colour))
    for size in sizes["bins"]:
        if size["n"] and size["found_any"] is not None:
            rows.append(_dot(f"{size['bin']} ({size['n']:,})", size["found_any"], colours["found_any"]))
            rows.append(_dot("overlap", size["found_overlap"], colours["found_overlap"]))
    chart = dots(rows, f"Regions found by equivalent diameter, {where}", "share of the regions found")
    words = [_smallest(sizes["smallest"][key], MEASURES[key].format(**regions), sizes) for key in colours]
    threshold = part["threshold"]
    return (
        f'<p class="hint">{counted(regions["n"], "region")}; map values count as found from '
        f"{threshold['map_value']:.6g} on, {shown(threshold['map_value_from'])}. Below all, by equivalent "
        f"diameter (number of regions): {shown(sizes['rule']['about'])}.</p>{figure(chart)}"
        f'<ul class="hint">{"".join(f"<li>{line}</li>" for line in words if line)}</ul>'
    )


def _dot(name: str, estimate: Part, colour: str) -> Dot:
    return Dot(name, estimate["value"], estimate["low"], estimate["high"], colour=colour)


def _smallest(found: Part | None, measure: str, sizes: Part) -> str:
    """A sentence about the smallest diameter found with some probability."""
    if found is None:
        return ""
    chance, unit, note = f"probability {found['probability']:g}", sizes["unit"], shown(found["note"])
    if found["value"] is None:
        return f"Found by {measure}, smallest diameter with {chance}: not known. {note}"
    low, high = ("open" if found[end] is None else f"{found[end]:.3g}" for end in ("low", "high"))
    told = f"Found by {measure} with {chance} from {found['value']:.3g} {unit} on (interval {low} to {high})."
    return f"{told} {note}"


def cost(part: Part, where: str) -> str:
    """Expected cost of a part against the threshold."""
    found = part["cost"]
    if found is None:
        return (
            '<p class="none">State what errors cost to see the expected cost of each threshold: '
            "--cost-miss, --cost-false-alarm, --cost-review and --defect-rate.</p>"
        )
    at = part["steps"]["in_force"]
    pairs = [(x, y) for x, y in zip(found["threshold"], found["cost"], strict=True)]
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    span = (xs[0], xs[-1]) if xs[-1] > xs[0] else (xs[0] - 0.5, xs[0] + 0.5)
    marks = [Mark(xs[found["lowest"]], "cheapest here", PALETTE[2])]
    marks += [] if at is None else [Mark(xs[at], "in force")]
    between = [x for x in xs for _ in (0, 1)][:-1], [ys[0], *(y for y in ys[1:] for _ in (0, 1))]
    chart = lines(
        [Line("", *between, colour=PALETTE[3])], f"Expected cost, {where}", "threshold", "cost of a part",
        span, (0, max(*ys, 1e-12) * 1.08), marks, wide=True,
    )  # fmt: skip
    rate = f"{found['defect_rate']:g}"
    whose = (
        f"a defect rate of {rate}"
        if found["stated"]
        else f"the defect rate of this test part, {rate}, not the line's"
    )
    told = f"At {whose}. Cheapest on these very images, so a floor: {ys[found['lowest']]:.4g} for a part."
    if found["in_force"] is not None:
        told += f" In force: {found['in_force']:.4g}."
    if found["best_band"] is not None:
        band = found["best_band"]
        told += (
            f" With a review band from {band['review_from']:.6g} to {band['threshold']:.6g}, "
            f"the cheapest pair, {band['cost']:.4g}."
        )
    return figure(chart, told, wide=True)
