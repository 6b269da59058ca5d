"""Step: writes a folder of tasks for an outside annotator, with our proposals on the images."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curate import views
from curate.annotation import TOOLS
from curate.annotation_guides import readme
from curate.annotation_package import (
    as_sent,
    image_row,
    labels_of,
    manifest,
    tags_of,
    tasks_of,
)
from curate.annotation_tasks import KINDS, Job, Region, as_kind, file_name
from curate.errors import DataFault, Missing, listed
from curate.export_folder import Item, write_folder
from curate.files import to_json, write_json
from curate.images import encode_png, inspect
from curate.manifest import File
from curate.progress import bar
from curate.registry import lookup
from curate.schema import check_rows
from curate.steps import labels
from curate.steps.record import Context
from curate.tables import to_rows

IMAGES = "images"
REFUSED_PX = 178_956_970  # Pillow, and so CVAT, calls larger images an attack
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        tool: of curate.annotation.
        kind: of the regions, in curate.annotation_tasks.KINDS.
        detector: whose proposals; None: none are sent.
        only: sample ids to send; None: those with a proposal.
        links: link the images instead of copying them, where that can be.
        image_prefix: what stands before an image's name in Label Studio; None: as README.txt describes.
    """

    tool: str
    kind: str = "brush"
    detector: str | None = "padim"
    only: tuple[str, ...] | None = None
    links: bool = False
    image_prefix: str | None = None


def run(
    context: Context,
    asked: Asked,
    out: Path,
    proposals: Mapping[str, Sequence[Region]],
    overwrite: bool = False,
) -> Row:
    """Write images, annotation file, labels, README and manifest; whole or absent, equal content equal bytes.

    Args:
        out: the folder.
        proposals: regions by sample id; the label "" becomes the image's defect type where it has just one.

    Returns:
        out, tool, kind, package, n_images, n_with_proposals, n_regions, n_converted (images that a browser
        could not show), n_too_large (for CVAT).

    Raises:
        ValueError: no such tool or kind, or sample ids that the dataset does not have.
        Missing: there is nothing to send.
        AlreadyExists: `out` is there and may not be replaced.
        DataFault: an image changed since it was ingested, or `out` lies among the files of a dataset.
    """
    made = prepare(context, asked, out, proposals)
    content, job = made.content, made.job
    tool = lookup(TOOLS, asked.tool, "annotation tool")
    tasks = tasks_of(content, made.regions)
    texts = {**tool.files(tasks, job), "README.txt": readme(asked.tool, job, len(tasks)).encode()}
    write_json(context.paths.sent / f"{content['package']}.json", content)  # answers may come at once
    items = [_text(name, text) for name, text in texts.items()]
    for image in content["images"]:
        row = made.samples[image["sample_id"]]
        linked = Path(row["filepath"]) if asked.links and not _is_converted(context, row) else None
        items.append(_image(row, image["file_name"], linked))
    with bar("images for annotators", len(tasks)) as advance:
        write_folder(out, items, lambda files: _manifest(content, files), overwrite, advance)
    sent = [row for row in content["images"] if row["sent"] is not None]
    return {
        "out": str(out.absolute()), "tool": asked.tool, "kind": asked.kind, "package": content["package"],
        "n_images": len(tasks), "n_with_proposals": len(sent),
        "n_regions": sum(len(task.regions) for task in tasks),
        "n_converted": sum(_is_converted(context, row) for row in made.samples.values()),
        "n_too_large": sum(h * w > REFUSED_PX for h, w in (task.image_hw for task in tasks)),
    }  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """What will be sent: the manifest, its samples by id, and the regions with their labels."""

    content: Row
    job: Job
    samples: Mapping[str, Row]
    regions: Mapping[str, list[Region]]


def prepare(context: Context, asked: Asked, out: Path, proposals: Mapping[str, Sequence[Region]]) -> Prepared:
    """The manifest of what would be sent, and all that goes with it; nothing is written. See run."""
    if asked.kind not in KINDS:
        raise ValueError(f'Unknown kind "{asked.kind}". Known: {", ".join(KINDS)}.')
    rows = to_rows(labels.current(context))
    chosen = _chosen(context, rows, asked, proposals)
    _check_place(context, out)
    names = labels_of(name for row in rows for name in row["defect_types"])
    known, plain = set(names), next(iter(names))
    regions = {
        row["sample_id"]: [
            replace(each, label=each.label if each.label in known else _label(row, plain, known))
            for each in proposals.get(row["sample_id"], ())
        ]
        for row in chosen
    }
    prefix = asked.image_prefix
    if prefix is None:
        prefix = (
            f"/data/local-files/?d={out.absolute().name}/{IMAGES}/" if asked.tool == "label_studio" else ""
        )
    job = Job(context.paths.name, "", asked.kind, tuple(names), tags_of(names), prefix)
    images = [image_row(row, regions[row["sample_id"]]) for row in chosen]
    content = manifest(asked.tool, job, names, images, asked.detector)
    samples = {row["sample_id"]: row for row in chosen}
    for image in content["images"]:
        sample = samples[image["sample_id"]]
        image["file_name"] = file_name(
            image["sample_id"], content["package"], image["relative_path"], _suffix(context, sample)
        )
        kept = [part for each in regions[image["sample_id"]] for part in as_kind(each, asked.kind)]
        image["sent"] = as_sent(kept, (image["height"], image["width"]))
    check_rows([content], "annotation_manifest")
    return Prepared(content, replace(job, package=content["package"]), samples, regions)


def _chosen(
    context: Context, rows: Sequence[Row], asked: Asked, proposals: Mapping[str, Sequence[Region]]
) -> list[Row]:
    name = context.paths.name
    if asked.only is None:
        wanted = set(proposals)
        if not wanted:
            raise Missing(
                f'Missing: dataset "{name}" has no proposals of {asked.detector}. Make them with: curate '
                f"propose {name} --detector {asked.detector}, or say which images: --view, --subset or ids."
            )
    else:
        wanted = set(asked.only)
        if unknown := sorted(wanted - {row["sample_id"] for row in rows}):
            raise ValueError(
                f'Dataset "{name}" has no samples of these ids:\n{listed(unknown)}\nAn id has 16 hex digits '
                "and stands in the sidebar of the App (sample_id)."
            )
        if not wanted:
            raise Missing("Missing: no image is chosen, so there is nothing to send.")
    return [row for row in rows if row["sample_id"] in wanted]


def _check_place(context: Context, out: Path) -> None:
    """Refuse a folder among what curate keeps."""
    if out.resolve().is_relative_to((context.workspace.home / "datasets").resolve()):
        raise DataFault(
            f"DataFault: {out} lies among what curate keeps itself. Choose a folder outside of it."
        )


def _label(row: Row, plain: str, known: set[str]) -> str:
    """The label of a proposal: the image's defect type where it has just one, else that of any defect."""
    types = row["defect_types"] if row["label"] == "anomalous" else []
    return str(types[0]) if len(types) == 1 and types[0] in known else plain


def _is_converted(context: Context, row: Row) -> bool:
    """Whether a PNG is sent instead of the file: ingesting saw that a browser cannot show it."""
    stem = f"{row['sample_id']}-{row['sha256'][:8]}"
    return any((context.paths.media / f"{stem}{kind}").exists() for kind in (".png", ".jpg"))


def _suffix(context: Context, row: Row) -> str:
    return ".png" if _is_converted(context, row) else Path(row["filepath"]).suffix.lower()


def _text(name: str, content: bytes) -> Item:
    return Item(name, hashlib.sha256(content).hexdigest(), lambda: content)


def _image(row: Row, name: str, linked: Path | None) -> Item:
    path = Path(row["filepath"])

    def make() -> bytes:
        facts, pixels = inspect(path)
        if facts.sha256 != row["sha256"]:
            raise DataFault(
                f"{row['relative_path']} changed since it was ingested. Ingest the source again, then send."
            )
        if not views.is_needed(facts):
            return path.read_bytes()
        return encode_png(views.eight_bits(pixels))

    return Item(f"{IMAGES}/{name}", row["sha256"], make, n_images=1, link=linked)


def _manifest(content: Row, files: Sequence[File]) -> bytes:
    rows = [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in files]
    return f"{to_json({**content, 'files': sorted(rows, key=lambda row: row['path'])})}\n".encode()
