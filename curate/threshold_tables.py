"""Thresholds and advice on them as tables for people, at most 100 columns wide."""

from collections.abc import Mapping
from typing import Any

from curate.cut_points import NORMALS
from curate.cut_points import PLURALS as ITEMS
from curate.intervals import LEVEL
from curate.wording import number, wrapped

MANY = 999
MISSES = {
    "image": "escapes per million parts",
    "region": "missed per million parts",
    "pixel": "missed per million pixels",
}
Row = Mapping[str, Any]


def chosen(content: Row) -> str:
    """A decision: its thresholds, what they give on the test part, what is claimed, and what to know."""
    items = "" if content["level"] == "image" else f", {ITEMS[content['level']]}"
    title = f"{content['detector']}, rule {told_rule(content)}{items}"
    out = [
        *wrapped([f"{title}; figures of the test part, unseen by the choice"], ""),
        f"{'category':<16}{'threshold':>10}  {'interval':<20}{'image AUROC':>11}{'pixel AUROC':>12}{'F1':>7}"
        f"{'false alarms':>13}{'missed':>9}",
    ]
    for category, row in content["by_category"].items():
        test = row["test"]
        alarms = of(test["n_false_alarms"], test["n_normal"])
        missed = of(test["n_missed"], test["n_anomalous"])
        out.append(
            f"{category:<16}{shown(row['threshold']):>10}  {ends(row['interval']):<20}"
            f"{number(test.get('image_auroc')):>11}{number(test.get('pixel_auroc')):>12}"
            f"{number(test['f1']):>7}{alarms:>13}{missed:>9}"
        )
        if row["band"] != "none":
            seen = f"{_count(test['n_to_review'])} of the test {ITEMS[content['level']]}"
            where = f"{shown(row['review_from'])}  and up" if row["band"] == "finite" else "all below"
            out.append(f"{'':<16}{where:>18}: a person looks, here at {seen}")
    return "\n".join([*out, *_expected(content), *_remarks(content["by_category"]), *_notes(content)])


def _expected(content: Row) -> list[str]:
    """False alarms and escapes to expect on the line, a line for each category."""
    lines = []
    for category, row in content["by_category"].items():
        found = row["expected"]
        if not found:
            continue
        unit = "1,000 normal " + NORMALS[content["level"]]
        text = f"{category}: false alarms per {unit} {with_ends(found['false_alarms_per_1000'])}"
        if found["escapes_per_million"]["value"] is not None:
            text += f"; {MISSES[content['level']]} {with_ends(found['escapes_per_million'])}"
        lines.append(text)
    return ["expected", *wrapped(lines)] if lines else []


def _remarks(by_category: Row) -> list[str]:
    """Claims, reasons and warnings; what holds for all categories is said once."""
    said: dict[tuple[str, str], list[str]] = {}
    for category, row in by_category.items():
        texts = [("claim", row["claim"]), ("not supported", row["reason"])]
        notes = [*row["warnings"], (row["interval"] or {}).get("note", "")]
        for kind, text in [*texts, *(("note", note) for note in notes)]:
            if text:
                said.setdefault((kind, text), []).append(category)
    lines = []
    for (kind, text), categories in said.items():
        where = "" if len(categories) == len(by_category) else f" ({', '.join(categories)})"
        lines.append(f"{kind}{where}: {text}")
    return wrapped(lines, "")


def _notes(content: Row) -> list[str]:
    """Who decided, and what else there is to say."""
    lines = [part for line in content.get("note", "").splitlines() for part in wrapped([line], "")]
    if content.get("fresh") and content.get("id"):
        instead = f", instead of {content['replaces']}" if content["replaces"] else ""
        lines.append(f"Decision {content['id']} by {content['by']}{instead}")
    if content.get("picture"):
        lines.append(f"picture: {content['picture']}")
    return lines


def advice(content: Row) -> str:
    """Every rule side by side, which one fits, and which situation each is for."""
    level, by_category = content["level"], content["by_category"]
    out = [
        f"{content['detector']}, {ITEMS[level]}; chosen on calibration, figures of the untouched test part"
    ]
    for category, row in by_category.items():
        out += ["", *_category(category, row, content)]
    out += ["", *_legend(level, content["defect_rate"])]
    if shortfalls := _shortfalls(by_category, level):
        out += ["", "x not supported by these data:", *shortfalls]
    out += ["", "when to take which"]
    for rule in next(iter(by_category.values()))["rules"]:
        only = "" if level in rule["levels"] else f" ({ITEMS[rule['levels'][0]]} only: --level)"
        out += wrapped([f"{rule['rule']:<16}{rule['when']}{only}"], hang=16)
    out.append("")
    if content["defect_rate"] is None:
        out.append("With --defect-rate, the line's share of defective parts, escapes per million are told.")
    out.append("Nothing is decided. To decide: curate threshold NAME --rule RULE [--set alpha=0.01]")
    if content.get("picture"):
        out.append(f"picture: {content['picture']}")
    return "\n".join(out)


def _legend(level: str, defect_rate: float | None) -> list[str]:
    """What the columns of the advice count."""
    lines = [
        f"[from, to]: interval of {LEVEL:g}. >: fits here.",
        f"alarms per 1,000: of 1,000 normal {NORMALS[level]}, how many raise an alarm.",
    ]
    if defect_rate is None:
        lines.append(f"share missed: share of the anomalous {ITEMS[level]} that pass.")
    else:
        of = ITEMS[level] if level == "pixel" else "parts"
        lines.append(
            f"escapes per million: of a million {of} of which {defect_rate:g} are anomalous, how many "
            "anomalous ones pass."
        )
    return wrapped(lines, "")


def _shortfalls(by_category: Row, level: str) -> list[str]:
    """Why rules are not supported; what holds for all categories is said once."""
    said: dict[str, list[str]] = {}
    for category, row in by_category.items():
        for rule in row["rules"]:
            if rule["reason"] and level in rule["levels"]:
                said.setdefault(f"{rule['rule']:<16}{rule['reason']}", []).append(category)
    return wrapped(
        [
            text + ("" if len(categories) == len(by_category) else f" ({', '.join(categories)})")
            for text, categories in said.items()
        ],
        hang=16,
    )


def _category(category: str, row: Row, content: Row) -> list[str]:
    level, with_rate = content["level"], content["defect_rate"] is not None
    counts = [row[part][key] for part in ("calibration", "test") for key in ("n_normal", "n_anomalous")]
    whole = f" {NORMALS[level]}" if NORMALS[level] != ITEMS[level] else ""
    told = (
        f"{category}: {counts[0]:,} normal{whole} and {counts[1]:,} anomalous {ITEMS[level]} in calibration, "
        f"{counts[2]:,} and {counts[3]:,} in test"
    )
    out = [
        *wrapped([told], ""),
        f"  {'rule':<16}{'threshold':>9}  {'interval':<18}{'alarms per 1,000':<20}"
        f"{'escapes per million' if with_rate else 'share missed':<24}{'to review':<9}",
    ]
    out += [_rule(rule, with_rate) for rule in row["rules"] if level in rule["levels"]]
    fits = [f"fits here: {rule['rule']}. {rule['why']}" for rule in row["rules"] if rule["recommended"]]
    if not fits:
        fits = ["These data support no rule: label more images, or give calibration more of them."]
    return [*out, *wrapped([*fits, *(f"note: {text}" for text in row["warnings"])])]


def _rule(rule: Row, with_rate: bool) -> str:
    mark = ">" if rule["recommended"] else " " if rule["supported"] else "x"
    found = rule["expected"]
    misses = found.get("escapes_per_million" if with_rate else "misses")
    alarms, seen = found.get("false_alarms_per_1000"), found.get("reviewed")
    where = shown(rule["threshold"])
    reviewed = f"{seen['value']:.3f}" if seen and rule["band"] != "none" else "-"
    return (
        f"{mark} {rule['rule']:<16}{where:>9}  {ends(rule['interval']):<18}"
        f"{with_ends(alarms) if alarms else '-':<20}"
        f"{with_ends(misses) if misses else '-':<24}{reviewed:<9}"
    ).rstrip()


def history(rows: list[Row]) -> str:
    """Every decision, oldest first; a star marks those that stand."""
    if not rows:
        return "Nothing was decided yet. See the rules side by side with: curate threshold NAME --advise"
    out = [f"  {'at (UTC)':<17}{'id':<18}{'by':<16}{'detector':<12}{'level':<8}rule"]
    for row in rows:
        by = row["by"] if row["origin"] == "person" else f"recipe ({row['by']})"
        mark = "*" if row["stands"] else " "
        at = row["at"][:16].replace("T", " ")
        out.append(
            f"{mark} {at:<17}{row['id']:<18}{by:<16}{row['detector']:<12}{row['level']:<8}{row['rule']}"
        )
        cuts = ", ".join(f"{name} {shown(cut['threshold'])}" for name, cut in row["by_category"].items())
        params = told_rule(row).removeprefix(row["rule"]).strip(" ()")
        out += wrapped([line for line in (params, cuts) if line], " " * 19)
        out += wrapped([f"why: {row['why']}"], " " * 19) if row["why"] else []
    return "\n".join([*out, "* stands: no later decision took its place"])


def told_rule(row: Row) -> str:
    """A rule with the parameters that are stated.

    >>> told_rule({"rule": "conformal", "params": {"alpha": 0.01, "per": None}})
    'conformal (alpha=0.01)'
    """
    stated = [f"{key}={_plain(value)}" for key, value in row["params"].items() if value is not None]
    return str(row["rule"]) + (f" ({', '.join(stated)})" if stated else "")


def _plain(value: Any) -> str:
    """A parameter's value; those of single categories one after the other."""
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(each)} for {name}" for name, each in value.items())
    return str(value)


def shown(value: float | None) -> str:
    """A threshold with as many digits as tell something, or "none".

    >>> shown(307.7977), shown(0.012345), shown(None)
    ('307.8', '0.01235', 'none')
    """
    return "none" if value is None else f"{value:.4g}"


def ends(estimate: Row | None) -> str:
    """An interval, or a dash.

    >>> ends({"low": 1.0, "high": None})
    '[1, -]'
    """
    if estimate is None or (estimate["low"] is None and estimate["high"] is None):
        return "-"
    low, high = ("-" if end is None else f"{end:.4g}" for end in (estimate["low"], estimate["high"]))
    return f"[{low}, {high}]"


def with_ends(estimate: Row) -> str:
    """A figure and its interval.

    >>> with_ends({"value": 2352.94, "low": 681.2, "high": 4990.0})
    '2,353 [681, 4,990]'
    """
    if estimate["value"] is None:
        return "-"
    figures = (estimate["value"], estimate["low"], estimate["high"])
    value, low, high = ("-" if figure is None else _digits(float(figure)) for figure in figures)
    return value if low == high == "-" else f"{value} [{low}, {high}]"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def of(n: int | None, total: int) -> str:
    """A count of a whole; of many, such as pixels, the share.

    >>> of(3, 17), of(None, 17), of(2425, 2_739_448)
    ('3/17', '-/17', '0.000885')
    """
    if total > MANY:
        return "-" if n is None else f"{n / total:.3g}"
    return f"{_count(n)}/{_count(total)}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}" if value < 100_000 else f"{value:.3g}"
