"""How a dataset looks in the App: sidebar, colours, fields shown from the start."""

from typing import Any

from curate.quality import FIELDS as QUALITY
from curate.store import queues
from curate.store.dataset import load
from curate.store.failures import database_errors
from curate.store.fields import (
    OF_QUEUES,
    OUTCOME,
    detector_fields,
    detectors_in,
    fiftyone,
    proposals_field,
)
from curate.verdicts import EXTRA

GREEN, RED, ORANGE, BLUE, GREY = "#2e9e5b", "#d64550", "#f0a030", "#3f7fd9", "#8a8f98"
WHITE, CYAN, PINK = "#ffffff", "#0a9fc2", "#e36bd0"
# of defect types in one mask; people with colour blindness can tell them apart (Okabe and Ito)
OF_TYPES = "#f0e442", "#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#d55e00"
SLATE = "#4b5563"  # for values without a colour of their own; a pool of many would give each score another
COLOUR_MAP = "Turbo"
OPACITY = 0.5
SAMPLED = 500
GROUPS = {
    "VERDICT": EXTRA,
    "TRUTH": ["label", "defect_types", "ground_truth", "gt_mask", "boxes"],
    "IMAGE": ["category", "assigned_split", "findings", "severity", "relative_path", "um_per_px"],
    "QUALITY": list(QUALITY),
    "ORIGIN": [
        "source", "split", "part_id", "product", "lot", "panel", "piece", "position", "section", "station",
        "camera", "lighting", "captured_at", "arrived_at", "site", "operator", "machine_code", "page",
        "licence", "citation",
    ],
    "FILE": [
        "filepath", "view_path", "sample_id", "sha256", "pixel_sha256", "bit_depth", "channels",
        "gt_mask_path", "mask_rule", "mask_kind", "mask_quality", "mask_channels", "mask_classes", "shapes",
        "id", "created_at", "last_modified_at",
    ],
    "metadata": ["metadata"],
    "tags": ["tags"],
}  # fmt: skip
# the App puts the last two first unless they are named
CLOSED = {"QUALITY", "ORIGIN", "FILE", "EMPTY", "metadata", "tags"}


@database_errors()
def arrange(dataset_name: str) -> list[str]:
    """Put a dataset into a useful state for triage; may be repeated at any time.

    Returns:
        Names of the saved views.

    Raises:
        Missing: no such dataset.
    """
    dataset = load(dataset_name, fresh=True)  # what people changed meanwhile in the App counts
    detectors = detectors_of(dataset)
    _arrange_sidebar(dataset, detectors)
    _arrange_colours(dataset, detectors)
    dataset.save()
    return queues.save(dataset, detectors)


def detectors_of(dataset: Any) -> list[str]:
    """Detectors with fields in this dataset: first those with scores, of them first that of the threshold."""
    chosen = dataset.info.get("curate", {}).get("detector")
    collection = dataset._sample_collection

    def rank(name: str) -> tuple[bool, bool, str]:
        unused = collection.find_one({detector_fields(name)[0]: {"$ne": None}}, {"_id": 1}) is None
        return unused, name != chosen, name

    return sorted(detectors_in(dataset), key=rank)


def _arrange_sidebar(dataset: Any, detectors: list[str]) -> None:
    odm = fiftyone("core.odm")
    known = set(dataset.get_field_schema())
    scores = [f"{name}_{kind}" for name in detectors for kind in ("score", "map", "suspicion", "proposals")]
    used = {name for name, empty in _emptiness(dataset).items() if not empty}
    groups = {"ANOMALY": [*scores, "predicted", OUTCOME, *OF_QUEUES], **GROUPS}
    listed = {name for names in groups.values() for name in names}
    if own := sorted(known - listed):
        groups["OTHER"] = own
    opened = [name for title, names in groups.items() if title not in CLOSED for name in names]
    groups["EMPTY"] = [name for name in opened if name not in used]
    dataset.app_config.sidebar_groups = [
        odm.SidebarGroupDocument(
            name=title,
            paths=[name for name in names if name in known and (title in CLOSED or name in used)],
            expanded=title not in CLOSED,
        )
        for title, names in groups.items()
    ]
    shown = [*(f"{name}_{kind}" for name in detectors[:1] for kind in ("map", "score")), "label", "verdict"]
    shown += ["boxes"] * ("boxes" in used)  # outlines; the mask would hide what the map shows
    dataset.app_config.active_fields = odm.ActiveFields(paths=[n for n in shown if n in known], exclude=False)


def _emptiness(dataset: Any) -> dict[str, bool]:
    """Field -> whether no sample has a value in it; those clutter the sidebar.

    Most fields have a value in the first samples; all others are looked for in one walk over the rest.
    """
    paths = {name: field.db_field or name for name, field in dataset.get_field_schema().items()}
    collection = dataset._sample_collection
    empty = set(paths) - {"id", *EXTRA}
    for limit in (SAMPLED, 0):
        if not empty:
            break
        filled: dict[str, Any] = {
            str(index): {"$max": {"$not": {"$in": [{"$ifNull": [f"${paths[name]}", None]}, [None, []]]}}}
            for index, name in enumerate(sorted(empty))
        }
        stages: list[Any] = [{"$limit": limit}] if limit else []
        found: dict[str, Any] = next(collection.aggregate([*stages, {"$group": {"_id": None, **filled}}]), {})
        empty -= {name for index, name in enumerate(sorted(empty)) if found.get(str(index))}
    return {name: name in empty for name in paths}


def _arrange_colours(dataset: Any, detectors: list[str]) -> None:
    """Colour by value: maps then get a colour scale, and labels and verdicts the same colours everywhere."""
    fo = fiftyone()
    by_label = {"normal": GREEN, "anomalous": RED, "unknown": GREY, "skipped": BLUE}
    values = [{"value": value, "color": colour} for value, colour in by_label.items()]
    fields: list[dict[str, Any]] = [
        {"path": path, "fieldColor": GREEN, "colorByAttribute": "label", "valueColors": values}
        for path in ("ground_truth", "predicted")
    ]
    fields += [{"path": path, "fieldColor": BLUE, "valueColors": values} for path in ("label", "verdict")]
    by_outcome = {"pass": GREEN, "review": ORANGE, "reject": RED}
    outcomes = [{"value": value, "color": colour} for value, colour in by_outcome.items()]
    fields += [{"path": OUTCOME, "fieldColor": ORANGE, "valueColors": outcomes}]
    told_apart = sorted(set(dataset.mask_targets.get("gt_mask") or ()) - {255})
    masks = [{"intTarget": 255, "color": WHITE}]
    masks += [{"intTarget": value, "color": OF_TYPES[(value - 1) % len(OF_TYPES)]} for value in told_apart]
    fields += [{"path": "gt_mask", "fieldColor": WHITE, "maskTargetsColors": masks}]
    boxed = [{"value": name, "color": CYAN} for name in dataset.distinct("boxes.detections.label")]
    fields += [{"path": "boxes", "fieldColor": CYAN, "colorByAttribute": "label", "valueColors": boxed}]
    proposed = [{"value": "proposal", "color": PINK}]
    fields += [
        {
            "path": proposals_field(name),
            "fieldColor": PINK,
            "colorByAttribute": "label",
            "valueColors": proposed,
        }
        for name in detectors
    ]
    shown = [field for name in detectors for field in detector_fields(name)]
    fields += [{"path": field, "fieldColor": ORANGE} for field in shown]
    dataset.app_config.color_scheme = fo.ColorScheme(
        color_by="value",
        opacity=OPACITY,
        color_pool=[SLATE],
        fields=fields,
        colorscales=[{"path": f"{name}_map", "name": COLOUR_MAP, "list": None} for name in detectors],
        default_colorscale={"name": COLOUR_MAP, "list": None},
    )
