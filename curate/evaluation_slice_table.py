"""The page's table of pixel and region figures by slice."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.check_report import shown
from curate.evaluation_blocks import numbers_of, table

Part = Mapping[str, Any]
FIGURES = {
    "pixel_auroc": "pixel AUROC",
    "aupro_0.3": "AUPRO 0.3",
    "aupro_0.05": "AUPRO 0.05",
    "auc_spro_0.05": "AUC-sPRO 0.05",
    "region_recall_found_any": "found, any pixel",
    "region_recall_found_overlap": "found, overlap {overlap}",
}
TITLES = {"defect_type": "defect type", "region_size": "diameter"}
N_OPEN = 20  # rows that are shown at once; longer tables wait behind their title
OF_REGIONS = (
    "By defect type and size, regions count for themselves: the background is that of all images, and the "
    "pixels of other regions are left out. So rows compare, and AUPRO of all is their mean over the regions."
)
OF_IMAGES = "By a column, the images of the slice are a set of their own, with their own background."
FEW = "Intervals from fewer than 20 parts with such defects are rough, and rather too narrow."


def pixel_slices(part: Part) -> Iterator[str]:
    """A table of the slices, and what their background is; sizes in um alone where they are known."""
    rows = _shown(part["pixel_slices"])
    if not rows:
        return
    names = [name for name in FIGURES if any(name in row["figures"] for row in rows)]
    overlap = "" if part["regions"] is None else f"{part['regions']['min_overlap']:g}"
    heads = [
        "slice",
        "n:regions",
        "n:images",
        *(f"n:{FIGURES[name].format(overlap=overlap)}" for name in names),
    ]
    content = table(heads, [_cells(row, names) for row in rows])
    told = [OF_REGIONS] if any(row["of"] == "regions" for row in rows) else []
    told += [OF_IMAGES] if any(row["of"] == "images" for row in rows) else []
    told += [FEW]
    yield "<h3>Pixels and regions by slice</h3>"
    yield f'<p class="hint">{" ".join(told)}</p>'
    if len(rows) > N_OPEN:
        content = f'<details class="small"><summary>{len(rows)} slices</summary>{content}</details>'
    yield content


def _shown(rows: Sequence[Part]) -> list[Part]:
    in_um = any(_is_size(row) and row["value"].endswith(" um") for row in rows)
    return [row for row in rows if not (in_um and _is_size(row) and row["value"].endswith(" px"))]


def _is_size(row: Part) -> bool:
    return bool(row["column"] == "region_size" and row["of"] == "regions")


def _cells(row: Part, names: Sequence[str]) -> list[str]:
    cells = []
    for name in names:
        value, ends, _ = numbers_of(row["figures"][name]) if name in row["figures"] else ("", "", "")
        cells.append(f'{value}<br><span class="about">{ends}</span>')
    title = TITLES.get(row["column"], row["column"].replace("_", " "))
    return [f"{shown(title)}: {shown(row['value'])}", f"{row['n_regions']:,}", f"{row['n_images']:,}", *cells]
