"""Step: writes the dataset, with human verdicts applied, in another tool's layout."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from curate import manifest as manifests
from curate import tables
from curate.errors import AlreadyExists, CurateError, DataFault, listed
from curate.exporters import EXPORTERS
from curate.files import fingerprint, read_json, write_json
from curate.progress import bar
from curate.registry import lookup
from curate.steps import stated
from curate.steps import subset as subsets
from curate.steps.joined import masks_digest, with_split
from curate.steps.record import Context, digest, done_before, finish, recorded


def run(
    context: Context,
    format_name: str = "mvtec_ad",
    out: Path | None = None,
    overwrite: bool = False,
    replace_own: bool = True,
    subset: str | None = None,
) -> dict[str, Any]:
    """Export the dataset; a finished export of the same content is left as it is.

    Args:
        out: target folder; default: exports/<format> of the dataset.
        overwrite: write anew, and replace an earlier export.
        subset: only the images of this subset; the default `out` is then exports/<format>-<subset>.
        replace_own: replace this dataset's own untouched earlier export at `out` without being asked.

    Returns:
        format, out, n_exported, n_left_out, left_out (reason -> images), n_verdicts,
        n_anomalous_tested, fresh.

    Raises:
        AlreadyExists: `out` holds something else, or files changed by hand, and `overwrite` is not given.
        Missing: there is no such subset.
        CurateError: the subset is stale, a source file changed since it was ingested, or `out` lies
            inside of a source.
    """
    paths = context.paths
    exporter = lookup(EXPORTERS, format_name, "export format")
    place = format_name if subset is None else f"{format_name}-{subset}"
    target = (out or paths.exports / place).absolute()
    samples, n_verdicts = _with_verdicts(context, subset)
    key = f"export-{fingerprint(str(target))}"
    recipe = stated.settings(context)
    if subset is not None:
        recipe["subset"] = {"name": subset, **read_json(subsets.content_of(paths, subset))["settings"]}
    inputs = {
        "format": format_name,
        "out": str(target),
        "samples": fingerprint(tables.to_rows(samples)),
        "masks": masks_digest(context),
        "recipe": recipe,
    }
    manifest = target / "manifest.json"
    earlier = done_before(paths, key, inputs, [manifest])
    if earlier is not None and not overwrite:
        return earlier
    _check_place(samples, target)
    begun = paths.steps / f"{key}-begun.json"
    cut_off = _cut_off(begun, manifest, None if replace_own else fingerprint(inputs))
    ours = cut_off or (replace_own and _made_here(context, key, manifest))
    if ours and not overwrite:
        _check_untouched(target, paths.name)
    try:
        with bar("exporting", len(samples)) as advance:
            exporter.write(
                samples,
                target,
                masks=paths.masks,
                recipe=recipe,
                dataset=paths.name,
                overwrite=overwrite or ours,
                progress=advance,
                announce=lambda made: write_json(begun, {"manifest": made, "inputs": fingerprint(inputs)}),
            )
    except Exception:
        if not cut_off:
            begun.unlink(missing_ok=True)
        raise
    written = read_json(manifest)
    reasons: dict[str, int] = {}
    for row in written["left_out"]:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    result = finish(
        paths,
        key,
        inputs,
        [manifest],
        {
            "format": format_name,
            "out": str(target),
            "n_exported": len(written["images"]),
            "n_left_out": len(written["left_out"]),
            "left_out": reasons,
            "n_verdicts": n_verdicts,
            "n_anomalous_tested": sum(
                row["label"] == "anomalous" and row["split"] == "test" for row in written["images"]
            ),
        },
    )
    begun.unlink(missing_ok=True)
    return result


def _cut_off(begun: Path, manifest: Path, inputs: str | None) -> bool:
    """Whether the target holds what a run put there that was killed before it could note so.

    Such a run left the checksum of the manifest it was about to put in place; any other manifest there is of
    somebody else.

    Args:
        inputs: fingerprint that the killed run's inputs must have; None: any.
    """
    try:
        record = read_json(begun)
        intended, of = record["manifest"], record["inputs"]
    except (CurateError, KeyError, TypeError):
        return False
    return manifest.is_file() and bool(intended == digest(manifest)) and inputs in (None, of)


def _check_untouched(target: Path, name: str) -> None:
    """Raise when a file of our own earlier export was changed or removed since: that work would be lost."""
    changed = [
        file["path"]
        for file in manifests.read(target)["files"]
        if digest(target / file["path"]) != file["sha256"]
    ]
    if changed:
        raise AlreadyExists(
            f"AlreadyExists: {len(changed)} files of the export {target} were changed by hand and would be "
            f"lost:\n{listed(changed)}\nMove the folder away to keep them, or replace it: "
            f"curate export {name} --out {shlex.quote(str(target))} --overwrite"
        )


def _check_place(samples: pd.DataFrame, target: Path) -> None:
    """Raise when the export would become part of a source, and its images be ingested the next time."""
    place = target.resolve()
    roots = {
        Path(path).parents[relative.count("/")].resolve()
        for path, relative in zip(samples["filepath"], samples["relative_path"], strict=True)
    }
    for root in sorted(roots):
        if place.is_relative_to(root):
            raise DataFault(
                f"DataFault: {target} lies inside of the source {root}, whose images are to be exported. "
                "Choose a folder outside of it."
            )


def _made_here(context: Context, key: str, manifest: Path) -> bool:
    """Whether what lies at the target is this dataset's own earlier export, untouched since."""
    outputs: dict[str, str] = recorded(context.paths, key)["outputs"]
    return list(outputs.values()) == [digest(manifest)] and manifest.exists()


def _with_verdicts(context: Context, subset: str | None) -> tuple[pd.DataFrame, int]:
    """Sample table with assigned split, a person's verdict in place of the delivered label; how many."""
    samples = with_split(context)
    if subset is not None:
        samples = samples[samples["sample_id"].isin(subsets.members(context, subset)["sample_id"])]
    return samples, int(samples["verdict"].notna().sum())
