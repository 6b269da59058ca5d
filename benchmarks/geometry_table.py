"""Puts the results of geometry.py into docs/geometry.md, between its two marks.

python benchmarks/geometry_table.py
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "geometry.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
TITLES = {
    "tiles": "Magnetic tiles, 103 to 620 px a side",
    "strips": "Strips of 500 x 1250 px, made of crops of the magnetic tiles",
    "boards": "DeepPCB, 640 x 640 px (square: stretched and kept are the same)",
}
WAYS = {
    "stretch": "`--geometry stretch` (256 x 256)",
    "keep": "default: kept, about 256 x 256 pixels",
    "keep, 512": "kept, `--set image_side=512`",
    "tiles": "`--tile`",
}


def number(value: float) -> str:
    """Three places, without the zero before the point."""
    return f"{value:.3f}".removeprefix("0")


def interval(estimate: dict[str, Any], places: int = 2) -> str:
    """A value with the ends of its interval."""
    if estimate["value"] is None:
        return "-"
    value, low, high = (f"{estimate[key]:.{places}f}".removeprefix("0") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def bin_name(entry: dict[str, Any]) -> str:
    """An octave of diameters."""
    low, high = entry["from_px"], entry["below_px"]
    return f"< {high} px" if not low else f"≥ {low} px" if high is None else f"{low} to {high} px"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Two tables of one data set: the whole, and by size of region."""
    shown = [index for index, entry in enumerate(rows[0]["found"]) if entry["n"]]
    first = rows[0]
    sizes = [f"{bin_name(first['found'][index])}, {first['found'][index]['n']}" for index in shown]
    lines = [
        f"{first['n_train']} normal images to fit on, {first['n_calibration']} for the threshold, "
        f"{first['n_normal']} normal and {first['n_anomalous']} anomalous ones to judge on.", "",
        "| | image AUROC | AUPRO .3 | AUPRO .05 | false alarms | images per CPU second |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {WAYS[row['way']]} | {interval(row['image_auroc'])} | {number(row['aupro'])} | "
        f"{number(row['aupro_05'])} | {interval(row['false_alarms'])} | {row['images_per_cpu_s']:.1f} |"
        for row in rows
    ]
    lines += ["", f"| regions found, by diameter and their number | {' | '.join(sizes)} |"]
    lines += ["|" + "---|" * (len(shown) + 1)]
    for row in rows:
        cells = [interval(row["found"][index]["recall"]) for index in shown]
        lines.append(f"| {WAYS[row['way']]} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Rewrite the page."""
    rows = json.loads((HERE / "results" / "geometry.json").read_text())["rows"]
    lines = []
    for dataset, title in TITLES.items():
        own = [row for way in WAYS for row in rows if (row["dataset"], row["way"]) == (dataset, way)]
        if not own:
            continue
        lines += ["", f"**{title}.** {table(own)[0]}", *table(own)[1:]]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
