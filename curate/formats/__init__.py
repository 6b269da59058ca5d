"""Dataset readers, one per file, and the recognition of a folder's layout.

A reader has `detect(root) -> list[str]`, the unmet requirements in words (empty means: this is it), and
`read(root, **options) -> DataFrame`, one row per image with the columns of `curate.readings`; what is wrong
with the dataset is in the table's `attrs["faults"]`.

The order is the order of recognition: the most telling layout first, the most general last.
"""

import json
import shlex
from pathlib import Path

from curate.errors import DataFault
from curate.registry import Entry

FORMATS = {
    "table": Entry(
        "curate.formats.table", "Any folders with a table (CSV, Parquet, Excel): curate-table.toml"
    ),
    "fpc": Entry("curate.formats.fpc", "Flexible printed circuits with an inspection machine's table"),
    "real_iad": Entry("curate.formats.real_iad", "Real-IAD: realiad_<size>/<category>/OK, NG, realiad_jsons"),
    "kolektor_sdd": Entry("curate.formats.kolektor_sdd", "KolektorSDD: kos<NN>/Part<M>.jpg and _label.bmp"),
    "kolektor_sdd2": Entry("curate.formats.kolektor_sdd2", "KolektorSDD2: train, test, <N>.png, <N>_GT.png"),
    "dagm": Entry("curate.formats.dagm", "DAGM 2007: Class<N>/Train, Test, with Label"),
    "magnetic_tile": Entry(
        "curate.formats.magnetic_tile", "Magnetic tile: MT_<kind>/Imgs, grey-valued masks"
    ),
    "deep_pcb": Entry("curate.formats.deep_pcb", "DeepPCB: template and test image pairs, boxes"),
    "mvtec_ad_2": Entry(
        "curate.formats.mvtec_ad_2", "MVTec AD 2: test_public under several lights, test_private"
    ),
    "mvtec_loco": Entry(
        "curate.formats.mvtec_loco", "MVTec LOCO AD: a folder of masks per image, defects_config.json"
    ),
    "visa": Entry("curate.formats.visa", "VisA: <object>/Data/Images, image_anno.csv, split_csv"),
    "visa_prepared": Entry(
        "curate.formats.visa_prepared", "VisA rearranged: <object>/train/good, test/bad, ground_truth"
    ),
    "btad": Entry("curate.formats.btad", "BTAD: <category>/train/ok, test/ko, ground_truth/ko"),
    "mpdd": Entry("curate.formats.mpdd", "MPDD: metal parts in the layout of MVTec AD"),
    "mvtec_ad": Entry("curate.formats.mvtec_ad", "MVTec AD: <category>/train/good, test, ground_truth"),
    "coco": Entry(
        "curate.formats.coco", "COCO: JSON with images, annotations, categories; outlines or boxes"
    ),
    "yolo_seg": Entry("curate.formats.yolo_seg", "YOLO: images and labels, data.yaml; outlines or boxes"),
    "voc": Entry("curate.formats.voc", "PASCAL VOC: JPEGImages, Annotations, SegmentationClass, ImageSets"),
    "labelme": Entry("curate.formats.labelme", "labelme: a JSON of outlines per image"),
    "folder": Entry("curate.formats.folder", "One folder per label: normal, anomalous, or any mapping"),
}

# Options of readers that name files. A recipe's are below the source, or relative to the recipe's own folder.
FILE_OPTIONS = ("table", "codes", "columns")

TABLES = (".csv", ".tsv", ".parquet", ".xlsx")
SHOWN = 10  # folders that a message names


def recognise(root: Path) -> tuple[str, dict[str, list[str]]]:
    """Find the format of a dataset folder.

    Returns:
        The name of the first format that matches, and for every other one why it was not taken.

    Raises:
        DataFault: no format matches; says what each one misses, and names a folder below that does match.
        Missing, Unreadable: `root` is no folder that can be read.
    """
    from curate.walking import check_root

    check_root(root)
    unmet: dict[str, list[str]] = {name: entry.load().detect(root) for name, entry in FORMATS.items()}
    chosen = next((name for name, reasons in unmet.items() if not reasons), None)
    if chosen is None:
        raise DataFault(_nothing_fits(root, unmet))
    others = {name: reasons for name, reasons in unmet.items() if name != chosen}
    return chosen, {
        name: reasons or [f"matches too, but {chosen} is more specific"] for name, reasons in others.items()
    }


def _nothing_fits(root: Path, unmet: dict[str, list[str]]) -> str:
    from curate.faults import shown
    from curate.walking import is_folder

    lines = [f"DataFault: no known format matches {shown(root)}:"]
    lines += [f"  {name}: {'; '.join(reasons)}" for name, reasons in unmet.items()]
    try:
        below = sorted(path for path in root.iterdir() if is_folder(path) and path.name[0] != ".")[:20]
    except OSError:
        below = []
    fitting = [
        (path, name) for path in below for name, entry in FORMATS.items() if not entry.load().detect(path)
    ]
    if fitting:
        path, name = fitting[0]
        lines.append(f"{shown(path)} does match {name}: give that folder.")
    else:
        lines += _advice(root)
    return "\n".join(lines)


def _advice(root: Path) -> list[str]:
    """What to do with a folder that no format knows, with its own folders and table as the example."""
    from curate.images import SUFFIXES, is_image
    from curate.walking import walk

    files = walk(root).files
    holding = list(dict.fromkeys(path.rpartition("/")[0] or "." for path in files if is_image(path)))
    if not holding:
        return [f"No image lies in it ({', '.join(sorted(SUFFIXES))})."]
    example = dict(zip(holding, ("normal", "anomalous", "unknown"), strict=False))
    option = f"mapping={json.dumps(example, ensure_ascii=False)}"
    more = f" and {len(holding) - SHOWN} more" if len(holding) > SHOWN else ""
    lines = [
        f"Images lie in: {', '.join(holding[:SHOWN])}{more}. Say which of them are normal, anomalous or "
        f"unknown, for example: --format folder --option {shlex.quote(option)}."
    ]
    table = next((path for path in files if "/" not in path and path.lower().endswith(TABLES)), None)
    if table:
        lines.append(
            f"Or say in a file curate-table.toml what the columns of {table} mean (docs/formats.md)."
        )
    return [*lines, "Or arrange the images in one of these layouts."]
