"""Writes the results of benchmarks/methods.py into docs/detectors.md as tables.

python benchmarks/methods_table.py [--results results/methods.json] [--docs docs/detectors.md]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
NOTHING = "-"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
TITLES = {
    ("tiles", "magnetic_tile"): "Magnetic tiles",
    ("boards", "pcb"): "DeepPCB; normals are the templates, truth is boxes",
    ("fpc", "acf"): "Drawn FPC, bonding zone (acf)",
    ("fpc", "coverlay"): "Drawn FPC, coverlay",
    ("fpc", "sus"): "Drawn FPC, steel stiffener (sus)",
}
HEAD = (
    "| Detector | image AUROC | AUPRO .3 | AUPRO .05 | regions found: < .1 % | .1 to 1 % "
    "| > 1 % of the image | fit, CPU s | predict, CPU ms |\n|---|---|---|---|---|---|---|---|---|"
)


def spread(rows: list[dict[str, Any]], key: str, digits: int = 3) -> str:
    """Mean and standard deviation over the seeds."""
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return NOTHING
    mean, deviation = (f"{number:.{digits}f}" for number in (np.mean(values), np.std(values)))
    if digits == 3:
        mean, deviation = mean.removeprefix("0"), deviation.removeprefix("0")
    return f"{mean} ± {deviation}"


def found(rows: list[dict[str, Any]], name: str) -> str:
    """Share of the regions of some size that were found, over all seeds."""
    hits, regions = np.sum([row["recall"][name] for row in rows], axis=0)
    return f"{hits / regions:.2f} of {regions}".removeprefix("0") if regions else NOTHING


def line(method: str, rows: list[dict[str, Any]]) -> str:
    """One row of a table."""
    cells = [f"`{method}`", *(spread(rows, key) for key in ("image_auroc", "aupro", "aupro_05"))]
    cells += [found(rows, name) for name in rows[0]["recall"]] if "recall" in rows[0] else [NOTHING] * 3
    cells += [f"{np.mean([row['fit_cpu_s'] for row in rows]):.0f}"]
    cells += [f"{np.mean([row['predict_cpu_ms'] for row in rows]):.0f}"]
    return "| " + " | ".join(cells) + " |"


def tables(results: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    out = []
    methods = list(dict.fromkeys(row["method"] for row in results["rows"]))
    for (dataset, category), title in TITLES.items():
        own = [row for row in results["rows"] if (row["dataset"], row["category"]) == (dataset, category)]
        if not own:
            continue
        first = own[0]
        out.append(
            f"**{title}.** {first['n_train']} normal images to fit on, {first['n_test']} to judge on, "
            f"{first['n_anomalous']} of them anomalous; {len({row['seed'] for row in own})} seeds.\n\n{HEAD}"
        )
        scored = {name: [row for row in own if row["method"] == name] for name in methods}
        best = sorted(scored, key=lambda name: -np.mean([row["image_auroc"] for row in scored[name]] or [0]))
        out[-1] += "".join("\n" + line(name, scored[name]) for name in best if scored[name])
    return "\n\n".join(out)


def main() -> None:
    """Replace what stands between the marks."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--results", type=Path, default=HERE / "results" / "methods.json")
    options.add_argument("--docs", type=Path, default=HERE.parent / "docs" / "detectors.md")
    chosen = options.parse_args()
    text = chosen.docs.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = tables(json.loads(chosen.results.read_text(encoding="utf-8")))
    chosen.docs.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
