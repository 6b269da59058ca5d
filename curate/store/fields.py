"""The fields of a FiftyOne dataset: which columns become which types, with descriptions and indexes."""

import importlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from curate.schema import load

STRINGS = [
    "sample_id", "relative_path", "sha256", "pixel_sha256", "source", "category", "label", "split",
    "assigned_split", "part_id", "product", "lot", "panel", "piece", "position", "section", "station",
    "camera", "lighting", "captured_at", "site", "operator", "machine_code", "licence", "citation",
    "gt_mask_path", "mask_rule", "mask_kind", "mask_quality", "mask_channels", "shapes", "mask_classes",
    "verdict", "verdict_defect_type", "verdict_by", "verdict_mask", "second_opinion", "view_path",
]  # fmt: skip
TRUTH = ["mask_channels", "shapes", "mask_classes"]  # nested in the table, one JSON text each in a document
VIEW = "view_path"
INTEGERS = ["bit_depth", "channels", "page"]
FLOATS = ["um_per_px"]
MOMENTS = ["verdict_at", "arrived_at"]
STRING_LISTS = ["defect_types", "findings"]
INDEXED = [
    "filepath", "relative_path", "category", "label", "assigned_split", "split", "part_id", "defect_types",
    "ground_truth.label", "verdict", "second_opinion", "findings", "source",
]  # fmt: skip
OUTCOME = "outcome"
OF_QUEUES = ("margin", "disagreement", "coverage_gap")  # what detectors and embeddings say, to sort by
MASK_TARGETS = {255: "defect"}
DESCRIPTIONS = {
    "label": "What holds now: the source's label, or the verdict that replaced it.",
    "defect_types": "What holds now; the source's are in ground_truth.defect_types.",
    "ground_truth": "As the source delivered it.",
    "gt_mask": "Ground-truth mask, 255 on the defect.",
    "view_path": "What the browser shows: the image, or a copy of it where a browser cannot show the image.",
    "mask_channels": "Mask files of the single defects, as JSON.",
    "shapes": "Outlines and run lengths of the source, as JSON.",
    "mask_classes": "Values of the mask files with their meaning and pixels, as JSON.",
    "boxes": "Ground-truth boxes; box_xyxy is in pixels, half-open.",
    "assigned_split": "train, calibration or test, as curate split decided.",
    "findings": "Codes of the quality checks that complain about this image.",
    "verdict": "The last human decision, see data_schemas/verdict.json. Empty: nobody has looked.",
    "verdict_mask": "Digest of the mask that a person accepted or drew; its file is in drawn_masks.",
    "second_opinion": "wanted: somebody was not sure; disputed: people differ, and no majority settles it.",
    "verdict_at": "UTC",
    "arrived_at": "When this picture came into the dataset, UTC.",
    "predicted": "By the chosen threshold.",
    OUTCOME: "By the two thresholds of a review band: pass, review (a person looks) or reject.",
}


def fiftyone(module: str = "") -> Any:
    """FiftyOne, or a module of it; refuses before a database is chosen, as it would start one of its own."""
    if "FIFTYONE_DATABASE_URI" not in os.environ:
        raise RuntimeError("Call curate.store.server.connect before anything that uses FiftyOne.")
    return importlib.import_module(f"fiftyone.{module}" if module else "fiftyone")


def declare(dataset: Any) -> None:
    """Give a dataset every field of the sample table that it lacks, and its media type."""
    fo = fiftyone()
    if dataset.media_type is None:
        dataset.media_type = "image"
    for wanted in (_kinds(fo), _nested(fo)):  # a parent that is new has its parts already
        known = set(dataset.get_field_schema(flat=True))
        add_fields(dataset, {name: kind for name, kind in wanted.items() if name not in known})
    targets = dict(dataset.mask_targets.get("gt_mask") or {})
    if not MASK_TARGETS.items() <= targets.items():  # people's masks may have more values
        dataset.mask_targets["gt_mask"] = targets | MASK_TARGETS
        dataset.save()
    declare_indexes(dataset, ["sample_id"], unique=True)


def is_declared(description: Mapping[str, Any]) -> bool:
    """Whether a dataset has had all that declare gives it.

    Args:
        description: its sample_fields and mask_targets as they are stored.
    """
    known, targets = set(), (description.get("mask_targets") or {}).get("gt_mask") or {}
    nested = [("", field) for field in description["sample_fields"]]
    for above, field in nested:
        known.add(path := above + field["name"])
        nested += [(f"{path}.", inner) for inner in field.get("fields") or ()]
    named = {str(value): name for value, name in MASK_TARGETS.items()}
    wanted = _kinds(fiftyone()).keys() | _nested(fiftyone()).keys()
    return wanted <= known and named.items() <= targets.items()


def add_fields(dataset: Any, kinds: Mapping[str, Mapping[str, Any]]) -> None:
    """Add fields all at once: one by one, each saves and reads back the whole schema.

    Args:
        kinds: field -> what FiftyOne's create_field is told of it.
    """
    create = fiftyone("core.odm").create_field
    schema = {
        name: create(name.rpartition(".")[2], **{"description": _description(name), **kind})
        for name, kind in kinds.items()
    }
    if schema:
        dataset._merge_sample_field_schema(schema)


def declare_indexes(dataset: Any, names: Iterable[str] = INDEXED, unique: bool = False) -> None:
    """Give a dataset the indexes that it lacks, all in one walk over its samples.

    On a new dataset it is faster after its samples are in.

    Args:
        names: fields, or parts of them with dots; each gets an index of its own.
    """
    from pymongo import IndexModel

    collection = dataset._sample_collection
    alone = [held["key"][0][0] for held in collection.index_information().values() if len(held["key"]) == 1]
    more = {"unique": True} if unique else {}
    if lacking := [IndexModel([(name, 1)], **more) for name in names if name not in alone]:
        collection.create_indexes(lacking)


def offer_copies(dataset: Any) -> None:
    """Let the App show copies instead of images that a browser cannot show, where there are any."""
    differs = {"$expr": {"$ne": [f"${VIEW}", "$filepath"]}}
    if dataset._sample_collection.find_one(differs, {"_id": 1}) is not None:
        dataset.app_config.media_fields = ["filepath", VIEW]
        dataset.app_config.grid_media_field = VIEW
        dataset.app_config.modal_media_field = VIEW
        dataset.save()


def _kinds(fo: Any) -> dict[str, dict[str, Any]]:
    """Field name -> what FiftyOne's create_field is told of it."""
    kinds: dict[str, dict[str, Any]] = {name: {"ftype": fo.StringField} for name in STRINGS}
    kinds |= {name: {"ftype": fo.IntField} for name in INTEGERS}
    kinds |= {name: {"ftype": fo.FloatField} for name in FLOATS}
    kinds |= {name: {"ftype": fo.ListField, "subfield": fo.StringField} for name in STRING_LISTS}
    kinds |= {name: {"ftype": fo.DateTimeField} for name in MOMENTS}
    create, nested = fiftyone("core.odm").create_field, _nested(fo)
    types, box = (create(path.rpartition(".")[2], **kind) for path, kind in nested.items())
    listed = {"subfield": fo.EmbeddedDocumentField, "embedded_doc_type": fo.Detection, "fields": [box]}
    labels = {
        "ground_truth": (fo.Classification, [types]),
        "gt_mask": (fo.Segmentation, []),
        "boxes": (fo.Detections, [create("detections", fo.ListField, **listed)]),
    }
    return kinds | {
        name: {"ftype": fo.EmbeddedDocumentField, "embedded_doc_type": kind, "fields": parts}
        for name, (kind, parts) in labels.items()
    }


def _nested(fo: Any) -> dict[str, dict[str, Any]]:
    """The same for the parts of labels that FiftyOne does not know."""
    return {
        "ground_truth.defect_types": {"ftype": fo.ListField, "subfield": fo.StringField},
        "boxes.detections.box_xyxy": {"ftype": fo.ListField, "subfield": fo.FloatField},
    }


def detector_fields(detector: str) -> tuple[str, str]:
    """Names of a detector's score and map fields; a field's name may only hold letters, digits and "_".

    >>> detector_fields("patchcore-0.1")
    ('patchcore_0_1_score', 'patchcore_0_1_map')
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", detector)
    return f"{plain}_score", f"{plain}_map"


def suspicion_field(detector: str) -> str:
    """Name of the field that tells how far above the others a detector finds a normal training image."""
    return f"{detector_fields(detector)[0].removesuffix('_score')}_suspicion"


def proposals_field(detector: str) -> str:
    """Name of the field with the masks that are proposed from a detector's maps."""
    return f"{detector_fields(detector)[0].removesuffix('_score')}_proposals"


def detectors_in(dataset: Any) -> list[str]:
    """Detectors that have fields in a dataset, as their names stand in the fields; sorted."""
    known = set(dataset.get_field_schema())
    found = [name.removesuffix("_score") for name in known if name.endswith("_score")]
    return sorted(name for name in found if detector_fields(name)[1] in known)


def judgements(dataset: Any) -> list[str]:
    """Fields of a dataset that hold what detectors and the threshold say of an image."""
    detectors = detectors_in(dataset)
    fields = [
        field
        for name in detectors
        for field in (*detector_fields(name), suspicion_field(name), proposals_field(name))
    ]
    known = set(dataset.get_field_schema())
    by_hand = [name for name in sorted(known) if name.endswith("_proposals") and name not in fields]
    held = [field for field in (*fields, *by_hand, OUTCOME, *OF_QUEUES) if field in known]
    return held + ["predicted"] * bool(detectors)


def declare_detector(dataset: Any, detector: str) -> None:
    """Give a dataset the fields of one detector."""
    fo = fiftyone()
    known = set(dataset.get_field_schema())
    score, heatmap = detector_fields(detector)
    lacking: dict[str, dict[str, Any]] = {}
    if score not in known:
        about = "Anomaly score; higher is more suspicious."
        lacking[score] = {"ftype": fo.FloatField, "description": about}
    for name, kind in ((heatmap, fo.Heatmap), ("predicted", fo.Classification)):
        if name not in known:
            lacking[name] = {"ftype": fo.EmbeddedDocumentField, "embedded_doc_type": kind}
    add_fields(dataset, lacking)
    declare_indexes(dataset, [score, "predicted.label"])


def declare_outcome(dataset: Any) -> None:
    """Give a dataset the field that tells what a review band makes of an image."""
    if OUTCOME not in dataset.get_field_schema():
        add_fields(dataset, {OUTCOME: {"ftype": fiftyone().StringField}})
    declare_indexes(dataset, [OUTCOME])


def _description(name: str) -> str | None:
    told: str | None = load("sample")["properties"].get(name, {}).get("description")
    return DESCRIPTIONS.get(name, told)
