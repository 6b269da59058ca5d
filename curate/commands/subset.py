"""curate subset: the images whose defects are small, with normal images that match."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command


class Kind(StrEnum):
    """Subsets that can be made."""

    small = "small"


def run(
    name: Name,
    kind: Annotated[Kind, typer.Argument(help="What the subset holds: small defects.")],
    max_diameter_um: Annotated[
        float | None, typer.Option("--max-diameter-um", help="Largest equivalent diameter, µm.")
    ] = None,
    max_diameter_px: Annotated[
        float | None, typer.Option("--max-diameter-px", help="Largest equivalent diameter, px.")
    ] = None,
    max_area_px: Annotated[float | None, typer.Option("--max-area-px", help="Largest area, px.")] = None,
    max_area_fraction: Annotated[
        float | None, typer.Option("--max-area-fraction", help="Largest share of the image, in (0, 1].")
    ] = None,
    any_region: Annotated[
        bool, typer.Option("--any-region", help="Take images that have larger regions, too.")
    ] = False,
    normals_per_anomalous: Annotated[
        float | None,
        typer.Option("--normals-per-anomalous", help="Default: as in the same part of the whole dataset."),
    ] = None,
    subset: Annotated[str, typer.Option("--as", help="Name of the subset.")] = "small",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a subset of this name with other settings.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what it would hold; keep nothing.")
    ] = False,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Keep the images with small defects, and normal ones that match, as a subset."""
    limits = {
        "diameter_um": max_diameter_um, "diameter_px": max_diameter_px, "area_px": max_area_px,
        "area_fraction": max_area_fraction,
    }  # fmt: skip
    arguments = {
        "name": name, "kind": kind.value, "as": subset, "any_region": any_region, "seed": seed,
        "normals_per_anomalous": normals_per_anomalous, "overwrite": overwrite, "dry_run": dry_run,
        **{f"max_{key}": value for key, value in limits.items()},
    }  # fmt: skip
    with command("subset", home, as_json, arguments) as job:
        from curate.steps import subset as step
        from curate.steps import sync
        from curate.steps.record import digest
        from curate.subset_choice import limit_of

        limit = limit_of(**limits)
        context = job.alone(job.workspace.existing(name))
        if not dry_run:
            sync.everything(context)  # verdicts that only the database holds come to the workspace
        result = step.run(
            context, limit, subset, any_region=any_region, seed=seed, dry_run=dry_run, overwrite=overwrite,
            normals_per_anomalous=normals_per_anomalous,
        )  # fmt: skip
        if not dry_run:
            sync.everything(context)
        job.record.add_input("samples", digest(context.paths.samples))
        job.result({"dataset": name, "dry_run": dry_run, **result}, lines)


def lines(content: dict[str, Any]) -> str:
    """What the subset holds and what it leaves out, and why."""
    counts, settings = content["counts"], content["settings"]
    images = counts["n_images"]
    rule = "at least one region is small" if settings["any_region"] else "all regions are small"
    out = [
        f"subset {content['name']} of {content['dataset']}: images of which {rule} "
        f"({settings['measure']} <= {settings['at_most']:g})",
        f"{counts['n_regions']} small regions in {images['defect']} images, {images['normal']} matched "
        f"normal images, {images['train']} normal images to train on",
        f"  {'category':<18}{'part':<13}{'kind':<28}{'images':>7}",
    ]
    for category, part, kind, n in counts["rows"]:
        out.append(f"  {category:<18}{part:<13}{kind:<28}{n:>7}")
    beside = "taken" if settings["any_region"] else "left out: their scores tell of the larger ones"
    for n, text in (
        (counts["n_beside_larger"], f"small regions lie in {counts['n_images_beside_larger']} images with "
         f"larger regions ({beside})"),
        (counts["n_larger"], "regions of these images are larger than the limit"),
        (counts["n_in_train"], "images with small regions are in train and cannot be evaluated"),
        (counts["n_crossing"], "images show parts that are in another part of the split, too; left out"),
        (counts["n_without_mask"], "anomalous images have no usable mask; left out"),
        (counts["n_loose_masks"], "anomalous images have boxes or loose masks: measured too large"),
        (counts["n_unlike"], "normal images are of another lot, camera, lighting or site: those ran out"),
    ):  # fmt: skip
        out += [f"  {n} {text}"] if n else []
    out += [f"  WARNING: {n} normal images too few in {part} of {cat}" for cat, part, n in counts["short"]]
    if content["dry_run"]:
        return "\n".join([*out, "Nothing was kept (--dry-run)."])
    return "\n".join([*out, f"Export it with: curate export {content['dataset']} --subset {content['name']}"])
