"""The sections of the evaluation's page: a category, in it each detector, and what detectors take."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from curate.chart_parts import fraction
from curate.charts import PALETTE, Dot, Line, dots, lines
from curate.check_report import shown
from curate.evaluation_blocks import (
    cost,
    curve_line,
    curves,
    defect_types,
    figure,
    figures,
    numbers_of,
    region_sizes,
    table,
)
from curate.evaluation_mover import mover
from curate.evaluation_slice_table import pixel_slices
from curate.evaluation_words import REDUCTIONS, counted, how, interval

Part = Mapping[str, Any]
Picture = Callable[[str, str, float | None], str]  # detector, sample, lightest map value -> HTML image or ""
MIB = 1 << 20
STRIP = (
    "Left the image with its truth outlined; in the middle the anomaly map, whose lightest colour is at the "
    "threshold or above; right the truth."
)
METRICS = {
    "image_auroc": "image AUROC",
    "image_average_precision": "average precision",
    "tpr_at_fpr": "found at the stated false-alarm rate",
}


def category(evaluation: Part, name: str, picture: Picture, first: bool) -> Iterator[str]:
    """Everything about a category: the detectors beside each other, then each one."""
    images = evaluation["images"][name]
    kind = ' class="first"' if first else ""
    yield f'<h2{kind} id="category-{evaluation["categories"].index(name)}">{shown(name)}</h2>'
    unknown = f"; {images['n_unknown']:,} without a label do not count" if images["n_unknown"] else ""
    yield (
        f'<p class="facts">Test part: {counted(images["n_normal"], "normal image")} and '
        f"{images['n_anomalous']:,} anomalous, of {counted(images['n_groups'], 'part')}{unknown}.</p>"
    )
    detectors = [each for each in evaluation["detectors"] if name in each["categories"]]
    if len(detectors) > 1:
        yield from _side_by_side(evaluation, name, detectors)
    for index, each in enumerate(detectors):
        part = each["categories"][name]
        auroc = part["image"]["image_auroc"]
        short = "" if auroc["value"] is None else f" image AUROC {fraction(auroc['value'])}"
        yield f"<details{' open' if index == 0 else ''}><summary><b>{shown(each['detector'])}</b>"
        yield f'<span class="facts">{short}</span></summary><div class="inside">'
        yield from _detector(evaluation, name, each["detector"], part, picture)
        yield "</div></details>"


def _side_by_side(evaluation: Part, name: str, detectors: Sequence[Part]) -> Iterator[str]:
    yield "<h3>Detectors side by side</h3>"
    drawn = []
    for index, each in enumerate(detectors):
        curve = each["categories"][name]["curves"].get("roc")
        if curve and curve["x"]:
            drawn.append(curve_line(curve, each["detector"], PALETTE[index % len(PALETTE)]))
    rows = []
    for index, each in enumerate(detectors):
        auroc = each["categories"][name]["image"]["image_auroc"]
        colour = PALETTE[index % len(PALETTE)]
        rows.append(Dot(each["detector"], auroc["value"], auroc["low"], auroc["high"], colour=colour))
    yield '<div class="two"><div>'
    yield figure(dots(rows, f"Image AUROC of each detector, {name}", "image AUROC", whole=False))
    yield _differences(evaluation["differences"].get(name, ()))
    yield "</div>"
    if drawn:
        diagonal = Line("", (0, 1), (0, 1), colour="#8a93a3", dashed=True)
        plain = [Line(line.name, line.x, line.y, colour=line.colour) for line in drawn]
        chart = lines([diagonal, *plain], f"ROC of images, {name}", "false-alarm rate", "found")
        yield f'<div class="square">{figure(f"<h4>ROC of images</h4>{chart}")}</div>'
    yield "</div>"


def _differences(differences: Sequence[Part]) -> str:
    if not differences:
        return ""
    rows = []
    for each in differences:
        value = "not known" if each["value"] is None else f"{each['value']:+.3f}"
        ends = "" if each["low"] is None else f"{each['low']:+.3f} to {each['high']:+.3f}"
        chance = "" if each["p_holm"] is None else fraction(each["p_holm"])
        sure = "" if each["p_holm"] is None else ("yes" if each["p_holm"] <= 1 - each["level"] else "no")
        pair = f"{shown(each['first'])} minus {shown(each['second'])}"
        rows.append([f"{pair}, {METRICS.get(each['metric'], each['metric'])}", value, ends, chance, sure])
    told = "On the same images: paired bootstrap over parts, p after Holm's correction for all pairs"
    return table(("difference", "n:value", "n:interval", "n:p", "significant"), rows, told)


def _detector(evaluation: Part, name: str, detector: str, part: Part, picture: Picture) -> Iterator[str]:
    where, options = f"{name}, {detector}", evaluation["options"]
    yield f"<p>{shown(_decided(part))}</p>"
    yield mover(part, where)
    yield "<h3>Figures</h3>"
    yield figures(part, options)
    drawn = list(curves(part, where))
    if drawn:
        yield f'<h3>Curves</h3><div class="charts">{"".join(drawn)}</div>'
        told = f"Bands are pointwise {options['level']:g} intervals of a bootstrap over parts."
        yield f'<p class="hint">{told}</p>'
    yield '<div class="two"><div><h3>By kind of defect</h3>'
    yield defect_types(part, where)
    yield "</div><div><h3>Regions found, by size</h3>"
    yield region_sizes(part, where)
    yield "</div></div>"
    yield from _strips(part, detector, picture)
    yield "<h3>Expected cost</h3>"
    yield cost(part, where)
    yield from _reductions(part, where)
    yield from _slices(part)
    yield from pixel_slices(part)


def _decided(part: Part) -> str:
    threshold, found = part["threshold"], part["at_threshold"]
    if found is None:
        return f"No threshold holds: {threshold['note']}"
    value = "" if threshold["value"] is None else f"{threshold['value']:.6g}, "
    text = f"Threshold {value}{how(threshold)}."
    if threshold["band"] == "open":
        text += " A person looks at everything that does not alarm."
    elif threshold["review_from"] is not None:
        text += f" A person looks from {threshold['review_from']:.6g} on."
    text += f" {threshold['claim']}" if threshold["claim"] else ""
    for key, told in (("false_alarm_rate", "False-alarm rate"), ("miss_rate", "miss rate")):
        estimate = found[key]
        known = "not known" if estimate["value"] is None else fraction(estimate["value"])
        text += f" {told} {known}{interval(estimate)}{',' if key == 'false_alarm_rate' else '.'}"
    escapes = found["escapes_per_million"]
    if escapes["value"] is not None:
        text += f" Expected escapes per million parts: {_rounded(escapes)}."
    alarms = found["false_alarms_per_1000"]
    if alarms["value"] is not None:
        text += f" Expected false alarms per 1,000 normal parts: {_rounded(alarms)}."
    return text


def _rounded(estimate: Part) -> str:
    ends = "" if estimate["low"] is None else f" ({estimate['low']:,.0f} to {estimate['high']:,.0f})"
    return f"{estimate['value']:,.0f}{ends}"


def _strips(part: Part, detector: str, picture: Picture) -> Iterator[str]:
    worst = part["worst"]
    known = part["at_threshold"] is not None
    plans = (
        ("missed", "Worst misses", "No anomalous image passes." if known else ""),
        ("nearest", "Anomalous images with the lowest scores", ""),
        ("false_alarms", "Worst false alarms", "No normal image alarms." if known else ""),
    )
    for key, title, nothing in plans:
        rows = worst[key]
        if rows:
            yield f'<h3>{title}</h3><p class="hint">{STRIP}</p>'
            yield '<ul class="strips">'
            for row in rows:
                kinds = ", ".join(row["defect_types"])
                told = f"{shown(row['relative_path'])}<br>score {row['anomaly_score']:.6g}"
                told += f", {shown(kinds)}" if kinds else ""
                image = picture(detector, row["sample_id"], part["threshold"]["map_value"])
                yield f"<li><figure>{image}<figcaption>{told}</figcaption></figure></li>"
            yield "</ul>"
        elif nothing:
            yield f'<h3>{title}</h3><p class="none">{nothing}</p>'


def _reductions(part: Part, where: str) -> Iterator[str]:
    known = part["reductions"]
    if not known:
        return
    rows = [
        Dot(REDUCTIONS.get(key, key), each["value"], each["low"], each["high"]) for key, each in known.items()
    ]
    yield "<h3>From map to image score</h3>"
    chart = dots(rows, f"Image AUROC of each reduction, {where}", "image AUROC", whole=False)
    told = (
        "max: the highest map value; max_mean_9px: after averaging over squares of 9 x 9 px; mean: of all "
        "pixels; quantile_0.999: the value that this share of pixels does not exceed; top_mean: mean of that "
        "share, or number, of the highest pixels. Choose a reduction on calibration images; the best of "
        "these flatters itself."
    )
    yield f'<div class="half">{figure(chart, told)}</div>'


def _slices(part: Part) -> Iterator[str]:
    if not part["slices"]:
        return
    rows = []
    for each in part["slices"]:
        cells = [numbers_of(each[key])[:2] for key in ("image_auroc", "false_alarm_rate", "miss_rate")]
        told = [f'{value}<br><span class="about">{ends}</span>' for value, ends in cells]
        size = f"{each['n_normal']:,} + {each['n_anomalous']:,}"
        rows.append([f"{shown(each['column'].replace('_', ' '))}: {shown(each['value'])}", size, *told])
    heads = ("slice", "n:normal + anomalous", "n:image AUROC", "n:false-alarm rate", "n:miss rate")
    yield "<h3>Slices</h3>"
    yield table(heads, rows)


def costs(evaluation: Part) -> Iterator[str]:
    """What each detector takes in time and memory."""
    rows = []
    for each in evaluation["detectors"]:
        about, measured = each["about"], each["about"]["measured"] or {}
        rows.append(
            [
                shown(each["detector"]), shown(about["runtime"] or ""), _number(about["fit_seconds"], 1),
                _number(about["ms_per_image"], 1), _size(about["state_bytes"]),
                _size(about["peak_rss_bytes"]),
                _number(measured.get("latency_ms_p50"), 1), _number(measured.get("images_per_s"), 1),
                _size(measured.get("peak_rss_bytes")),
            ]
        )  # fmt: skip
    heads = (
        "detector", "runtime", "n:fit, s", "n:ms per image", "n:state, MiB", "n:peak memory, MiB",
        "n:latency, ms", "n:images per s", "n:memory to predict, MiB",
    )  # fmt: skip
    yield '<h2 id="cost">Time and memory</h2>'
    yield table(heads, rows)
    yield (
        '<p class="hint">The first figures are of the scoring run: all fits together, and wall time from '
        "file to stored map. The last three are of curate cost, in fresh processes; else empty.</p>"
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _size(n_bytes: int | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / MIB:,.1f}"
