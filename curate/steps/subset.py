"""Step: makes a subset of small defects with normal images that match, and reads it back."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate import tables
from curate.errors import AlreadyExists, CurateError, Missing, Unreadable
from curate.files import read_json, write_json
from curate.schema import check_table, load
from curate.steps import labels
from curate.steps.joined import masks_digest, with_split
from curate.steps.record import Context, digest, once
from curate.steps.regions import region_table
from curate.subset_choice import Limit, choose_small, match_normals, parts_that_cross
from curate.tables import to_rows
from curate.workspace import NAME, DatasetPaths

COLUMNS = list(load("subset")["properties"])
_SETTINGS = {"measure", "at_most", "any_region", "normals_per_anomalous", "seed"}


def run(
    context: Context,
    limit: Limit,
    name: str = "small",
    *,
    any_region: bool = False,
    normals_per_anomalous: float | None = None,
    seed: int = 0,
    dry_run: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Choose the images of a subset and keep it; one of the same data and settings is left as it is.

    Args:
        name: of the subset.
        any_region: see curate.subset_choice.choose_small.
        normals_per_anomalous: see curate.subset_choice.match_normals.
        dry_run: tell what it would hold, and write nothing.
        overwrite: replace a subset of this name that was made with other settings.

    Returns:
        name, settings, counts (see curate.steps.subset.counted), fresh.

    Raises:
        ValueError: the name is not fit for a file, or the ratio is not above 0.
        AlreadyExists: there is a subset of this name with other settings.
        Missing: the dataset has not been split.
        CurateError: no image belongs to it.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f'The name "{name}" must have 1 to 80 letters, digits, ".", "_" or "-".')
    settings = {
        "measure": limit.measure,
        "at_most": limit.at_most,
        "any_region": any_region,
        "normals_per_anomalous": normals_per_anomalous,
        "seed": seed,
    }
    rows, about = table_of(context.paths, name), content_of(context.paths, name)
    earlier = settings if overwrite or dry_run or not about.exists() else _read(context, name)["settings"]
    if earlier != settings:
        raise AlreadyExists(
            f'AlreadyExists: there is a subset "{name}" with other settings ({_words(earlier)}). Name this '
            "one otherwise with --as, or replace it with --overwrite."
        )
    made_of = _made_of(context)

    def work() -> dict[str, Any]:
        members, counts = _chosen(context, limit, any_region, normals_per_anomalous, seed)
        result = {"name": name, "settings": settings, "counts": counts}
        if not dry_run:
            tables.write(members, rows)
            write_json(about, {**result, "made_of": made_of, "members": digest(rows)})
        return result

    if dry_run:
        return {**work(), "fresh": True}
    return once(context.paths, f"subset-{name}", {"settings": settings, **made_of}, [rows, about], work)


def members(context: Context, name: str) -> pd.DataFrame:
    """The images of a subset, after data_schemas/subset.json.

    Raises:
        Missing: there is no such subset; lists those there are.
        CurateError: images, masks, verdicts or the split changed since it was made, or its files were.
    """
    path, content = content_of(context.paths, name), table_of(context.paths, name)
    if not path.exists():
        known = ", ".join(names(context.paths)) or "none yet"
        raise Missing(
            f'Missing: dataset "{context.paths.name}" has no subset "{name}" (it has: {known}). '
            f"Make one with: curate subset {context.paths.name} small --as {name} --max-diameter-px N"
        )
    told = _read(context, name)
    now = {**_made_of(context), "its files": digest(content)}
    noted = {**told["made_of"], "its files": told["members"]}
    if changed := [what for what, value in now.items() if noted.get(what) != value]:
        raise CurateError(
            f'CurateError: the subset "{name}" is stale: {", ".join(changed)} changed since it was made. '
            f"Make it again: curate subset {context.paths.name} small --as {name} "
            f"{_options(told['settings'])}"
        )
    table = tables.read(content)
    check_table(table, "subset")
    return table


def names(paths: DatasetPaths) -> list[str]:
    """Subsets of a dataset, stale ones too; sorted."""
    return sorted(path.stem for path in (paths.root / "subsets").glob("*.json"))


def content_of(paths: DatasetPaths, name: str) -> Path:
    """What a subset is, and what it was made of."""
    return paths.root / "subsets" / f"{name}.json"


def table_of(paths: DatasetPaths, name: str) -> Path:
    """The images of a subset."""
    return paths.root / "subsets" / f"{name}.parquet"


def _read(context: Context, name: str) -> dict[str, Any]:
    """What a subset is, refused where its file is damaged."""
    path = content_of(context.paths, name)
    again = (
        f"Make it again: curate subset {context.paths.name} small --as {name} --overwrite --max-diameter-px N"
    )
    try:
        told = read_json(path)
    except Unreadable as error:
        raise Unreadable(f"{error} {again}") from error
    kinds = {"settings": dict, "made_of": dict, "members": str}
    whole = isinstance(told, dict) and all(isinstance(told.get(key), kinds[key]) for key in kinds)
    if not whole or not _SETTINGS <= told["settings"].keys():
        raise Unreadable(f"Unreadable: {path} does not tell what the subset {name} is. {again}")
    return dict(told)


def _made_of(context: Context) -> dict[str, str]:
    return {
        "images": digest(context.paths.samples),
        "split": digest(context.paths.split),
        "verdicts": labels.digest(context),
        "masks": masks_digest(context),
    }


def _chosen(
    context: Context, limit: Limit, any_region: bool, per_anomalous: float | None, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    rows = to_rows(with_split(context))
    regions, truth = region_table(context, rows)
    small = choose_small(rows, to_rows(regions), limit, any_region)
    if not small.members:
        raise CurateError(
            f"CurateError: of {small.n_small} small regions, none makes an image of the subset: "
            f"{small.n_images_beside_larger} images have larger regions, too (--any-region takes them), "
            f"{small.n_in_train} are in train, {small.n_crossing} show parts of several parts of the split."
        )
    matched = match_normals(rows, list(small.members), per_anomalous, seed)
    by_id = {row["sample_id"]: row for row in rows}
    categories = {by_id[name]["category"] for name in small.members}
    crossing = parts_that_cross(rows)
    roles = dict.fromkeys(small.members, "defect") | dict.fromkeys(matched.sample_ids, "normal")
    for row in rows:
        trains = row["assigned_split"] == "train" and row["label"] == "normal"
        if trains and row["category"] in categories and row["part_id"] not in crossing:
            roles[row["sample_id"]] = "train"
    chosen = []
    for name, role in sorted(roles.items()):
        n_small, n_regions = small.members.get(name, (0, 0))
        own = {"sample_id": name, "role": role, "n_small": n_small, "n_regions": n_regions}
        chosen.append({**own, **{key: by_id[name][key] for key in ("assigned_split", "category")}})
    table = tables.from_rows(chosen, COLUMNS)
    counts = {
        **counted(chosen, by_id),
        "n_small_in_dataset": small.n_small,
        "n_beside_larger": small.n_beside_larger,
        "n_images_beside_larger": small.n_images_beside_larger,
        "n_in_train": small.n_in_train,
        "n_crossing": small.n_crossing,
        "n_without_mask": truth["none"],
        "n_loose_masks": truth["weak"] + truth["boxes"],
        "n_unlike": matched.n_unlike,
        "short": [[*place, n] for place, n in sorted(matched.short.items())],
    }
    return table, counts


def counted(chosen: list[dict[str, Any]], by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a subset holds, in numbers.

    Returns:
        n_regions (small ones), n_larger (the other regions of these images), n_images by role, and rows: one
        for each category, part of the split and kind, with its images; a kind is a defect type, or "normal".
    """
    kinds: Counter[tuple[str, str, str]] = Counter()
    for row in chosen:
        types = by_id[row["sample_id"]]["defect_types"] or ["not stated"]
        kind = " + ".join(sorted(set(types))) if row["role"] == "defect" else "normal"
        kinds[row["category"], row["assigned_split"], kind] += 1
    n_small, n_regions = (sum(row[key] for row in chosen) for key in ("n_small", "n_regions"))
    return {
        "n_regions": n_small,
        "n_larger": n_regions - n_small,
        "n_images": {
            role: sum(row["role"] == role for row in chosen) for role in ("defect", "normal", "train")
        },
        "rows": [[*place, n] for place, n in sorted(kinds.items())],
    }


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)


def _options(settings: Mapping[str, Any]) -> str:
    """The options that make a subset with these settings."""
    out = [f"--max-{settings['measure'].replace('_', '-')} {settings['at_most']:g}"]
    out += ["--any-region"] * settings["any_region"]
    if settings["normals_per_anomalous"] is not None:
        out.append(f"--normals-per-anomalous {settings['normals_per_anomalous']:g}")
    return " ".join([*out, *([f"--seed {settings['seed']}"] if settings["seed"] else [])])
