"""curate score: anomaly maps and scores for every image."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command

ROBUST = 0.1


def run(
    name: Name,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            help="Which detector (may be repeated; default: padim): padim, npad, dfr, differnet, "
            "uninformed_students, patch_svdd, fcdd; around any of them tiled: and multiscale:; "
            "anomalib:MODEL.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Settings to start from: cpu (default), paper, as published, or smoke, to try things out.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting: key=value for all detectors, or DETECTOR:key=value for one, such as "
            "npad:window=5 or tiled:padim:tile_side=128 (may be repeated).",
        ),
    ] = None,
    tile: Annotated[
        bool,
        typer.Option(
            "--tile",
            help="Work on overlapping tiles at the images' own resolution: --detector padim becomes "
            "tiled:padim. Finds smaller defects, takes longer.",
        ),
    ] = False,
    tile_side: Annotated[
        int | None,
        typer.Option(
            "--tile-side",
            min=16,
            metavar="PX",
            help="Longest side of a tile, in pixels of the image (default: that of the detector's input, "
            "so that no pixel is lost).",
        ),
    ] = None,
    tile_overlap: Annotated[
        float | None,
        typer.Option(
            "--tile-overlap",
            min=0.0,
            max=0.5,
            metavar="FRACTION",
            help="Share of a tile that neighbours have in common (default: 0.25).",
        ),
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            "--geometry",
            help="keep the aspect ratio of images (default), or stretch each to a square, as many "
            "published results do.",
        ),
    ] = None,
    fit_unknown: Annotated[
        bool,
        typer.Option(
            "--fit-unknown",
            help="Also fit on training images that nobody has labelled, as if they were normal.",
        ),
    ] = False,
    with_anomalies: Annotated[
        int,
        typer.Option(
            "--with-anomalies",
            min=0,
            metavar="N",
            help="Let detectors that can learn from N labelled anomalous images of each category: those of "
            "the training part, then up to half of those in calibration, which then decide no threshold.",
        ),
    ] = 0,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust", help="Find normal images that look anomalous, tell them, and fit without them (slow)."
        ),
    ] = False,
    robust_fraction: Annotated[
        float | None,
        typer.Option(
            "--robust-fraction",
            help=f"Like --robust, and the most of the normal images that may be left out (default {ROBUST}).",
        ),
    ] = None,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit detectors on normal images, and score every image."""
    names = detectors or ["padim"]
    arguments = {
        "name": name, "detectors": names, "profile": profile, "settings": settings, "tile": tile,
        "tile_side": tile_side, "tile_overlap": tile_overlap, "geometry": geometry,
        "fit_unknown": fit_unknown, "with_anomalies": with_anomalies, "robust": robust,
        "robust_fraction": robust_fraction, "seed": seed,
    }  # fmt: skip
    with command("score", home, as_json, arguments) as job:
        from curate.score_geometry import Shape, wanted
        from curate.score_settings import check_names
        from curate.score_training import Choice
        from curate.steps import score, sync

        check_names(names)
        shape = Shape(tile, tile_side, tile_overlap, geometry)
        jobs = wanted(names, settings or [], profile, shape)
        share = robust_fraction if robust_fraction is not None else ROBUST if robust else None
        context = job.alone(job.workspace.existing(name))
        results = score.run_all(context, jobs, seed, Choice(fit_unknown, with_anomalies, share))
        sync.everything(context)
        job.record.add_input("samples", sync.digest(context.paths.samples))
        job.result({"dataset": name, "detectors": results}, _lines)


def _lines(content: dict[str, Any]) -> str:
    results = content["detectors"]
    return "\n".join([f"{content['dataset']}: {results[0]['n_scored']} images", *lines(results)])


def lines(results: list[dict[str, Any]]) -> list[str]:
    """What detectors cost, a line each, and what they learned from that is out of the ordinary."""
    width = max(8, *(len(result["detector"]) for result in results))
    heads = f"{'learned':>9}{'fit':>10}{'per image':>11}{'on disk':>10}  profile, runtime, weights"
    out = [f"  {'detector':<{width}}{heads}"]
    for result in results:
        told = result["report"]
        each = told["ms_per_image"]
        how = [told["profile"], told["runtime"], told["backbone_weights"]]
        out.append(
            f"  {result['detector']:<{width}}{told['n_normals']:>9}{told['fit_seconds']:>8.1f} s"
            f"{'-' if each is None else f'{each:.0f} ms':>11}{told['state_bytes'] / 2**20:>6.0f} MiB  "
            + ", ".join(text for text in how if text and text != "none")
            + ("" if result["fresh"] else " (done before)")
        )
    peak = max(result["report"]["peak_rss_bytes"] for result in results)
    out.append(f"  peak memory {peak / 2**20:.0f} MiB")
    for result in results:
        out += _learned(result["detector"], result["report"])
    return out


def _learned(detector: str, told: dict[str, Any]) -> list[str]:
    """What a detector learned from beyond normal training images, and what it was spared."""
    training, out = told.get("training", {}), []
    for category, tiles in told.get("tiles", {}).items():
        (height, width), n = tiles["tile_hw"], tiles["n"]
        out.append(f"  {detector}, {category}: {n} tiles of {height} x {width} px per image")
    if n := training.get("n_unknown_as_normal"):
        out.append(f"  {detector}: {n} images that nobody has labelled were fitted on as normal")
    if n := training.get("n_anomalies"):
        out.append(
            f"  {detector}: learned from {n} anomalous images, {training['n_anomalies_of_calibration']} of "
            f"them from calibration; {len(training['set_aside'])} calibration images are no evidence any more"
        )
    for category, found in told.get("robust", {}).get("by_category", {}).items():
        if not found["n_folds"]:
            out.append(f"  {detector}, {category}: too few normal images to look for suspicious ones")
            continue
        share, rows = found["estimated_contamination"], found["left_out"]
        out.append(
            f"  {detector}, {category}: {found['n_above']} of {found['n_normals']} normal images are "
            f"suspicious ({share:.3f}), {len(rows)} left out of the fit"
        )
        out += [
            f"    {row['path']}  score {row['score']:.2f}, z {row['z']:.1f}, now {row['score_after']:.2f}"
            for row in rows
        ]
    return [*out, *(f"  {detector}: {text}" for text in told["warnings"])]
