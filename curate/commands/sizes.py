"""curate sizes: how large the defects are, and from which size on they are found."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, Seed, command

FOUND = {"found_any": "any pixel", "found_overlap": "overlap >= {min_overlap:g}"}
UNITS = {"px": "px", "um": "µm"}


def run(
    name: Name,
    detector: Annotated[
        str | None,
        typer.Option("--detector", help="Whose maps (default: of the threshold in force, if there is one)."),
    ] = None,
    category: Annotated[str | None, typer.Option("--category", help="Only this category.")] = None,
    defect_type: Annotated[
        str | None, typer.Option("--defect-type", help="Only regions of this defect type.")
    ] = None,
    bins: Annotated[
        str, typer.Option("--bins", help='"octaves", "quantiles", "quantiles:N", or edges: 2,5,10.')
    ] = "octaves",
    unit: Annotated[str, typer.Option("--unit", help="Of diameters in bins and curve: px or um.")] = "px",
    min_overlap: Annotated[
        float, typer.Option("--min-overlap", help="Share of a region that counts as found by overlap.")
    ] = 0.3,
    input_side: Annotated[
        int | None,
        typer.Option("--input-side", help="Tell what vanishes at about this many px squared of input."),
    ] = None,
    aspect: Annotated[str, typer.Option("--aspect", help="With --input-side: keep or stretch.")] = "keep",
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the regions to this Parquet file.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Draw the study to this PNG file.")] = None,
    seed: Seed = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Tell the sizes of defects, what a detector's input loses, and the smallest size found."""
    arguments = {
        "name": name, "detector": detector, "category": category, "defect_type": defect_type, "bins": bins,
        "unit": unit, "min_overlap": min_overlap, "input_side": input_side, "aspect": aspect, "table": table,
        "out": out, "seed": seed,
    }  # fmt: skip
    with command("sizes", home, as_json, arguments) as job:
        from curate.steps import sizes
        from curate.steps.outside import outside
        from curate.steps.record import digest
        from curate.steps.sizes_picture import draw

        context = job.alone(job.workspace.existing(name))
        rows = table.expanduser().absolute() if table else None
        picture = out.expanduser().absolute() if out else None
        outside(context, table=rows, out=picture)
        result = sizes.run(
            context, detector, category=category, defect_type=defect_type, input_side=input_side,
            aspect=aspect, table=rows, bins=bins, unit=unit, min_overlap=min_overlap, seed=seed,
        )  # fmt: skip
        if picture is not None:
            named = [name, category, defect_type, result["recall"] and result["detector"]]
            draw(result, f"Size of defects: {', '.join(filter(None, named))}", picture)
        job.record.add_input("samples", digest(context.paths.samples))
        places = {"table": rows and str(rows), "picture": picture and str(picture)}
        job.result({"dataset": name, **result, **places}, lines)


def lines(content: dict[str, Any]) -> str:
    """Sizes, what vanishes, recall by size and the smallest size found, as tables."""
    from curate.wording import wrapped

    study = content["sizes"]
    out = [f"{study['n_regions']} defect regions in {study['n_images']} images of {_of(content)}"]
    out += [f"{'':<24}{'smallest':>10}{'5 of 100':>10}{'median':>10}{'95 of 100':>10}{'largest':>10}"]
    for key, title, digits in (
        ("area_px", "area, px", ".0f"), ("diameter_px", "equivalent diameter, px", ".1f"),
        ("area_fraction", "share of the image", ".2g"), ("area_um2", "area, µm²", ".4g"),
        ("diameter_um", "equivalent diameter, µm", ".4g"),
    ):  # fmt: skip
        row = study["sizes"][key]
        if row["n"]:
            figures = (format(row[part], digits) for part in ("min", "p5", "median", "p95", "max"))
            out.append(f"{title:<24}" + "".join(f"{figure:>10}" for figure in figures))
    out += _vanish(content["vanish"])
    out += _recall(content) if content["recall"] else _bins(study)
    out += wrapped((f"WARNING: {line}" for line in content["warnings"]), "")
    out += [f"{what}: {content[what]}" for what in ("picture", "table") if content[what]]
    return "\n".join(out)


def _of(content: dict[str, Any]) -> str:
    return ", ".join(filter(None, (content[key] for key in ("dataset", "category", "defect_type"))))


def _vanish(vanish: dict[str, Any] | None) -> list[str]:
    if vanish is None:
        return ["What vanishes at a detector's input: score with one, or give --input-side."]
    cells = vanish["n_below_half_cell"]
    lost = vanish["largest_lost_px"]
    return [
        f"At {vanish['input']}, of {vanish['n_regions']} regions:",
        f"  {vanish['n_nearest']:>5} vanish in a nearest-neighbour resize of the mask"
        + (f" (the largest has {lost:.1f} px)" if lost else ""),
        f"  {vanish['n_below_pixel']:>5} are smaller than one pixel of the input",
        f"  {'-' if cells is None else cells:>5} are smaller than half a feature cell",
    ]


def _bins(study: dict[str, Any]) -> list[str]:
    unit = UNITS[study["unit"]]
    out = [f"By equivalent diameter ({study['rule']['name']}: {study['rule']['about']}):"]
    out += [f"  {_span(row, unit):<20}{row['n']:>6} regions" for row in study["bins"]]
    return out + _outside(study)


def _recall(content: dict[str, Any]) -> list[str]:
    from curate.intervals import LEVEL
    from curate.wording import wrapped

    study = content["recall"]
    unit = UNITS[study["unit"]]
    out = [
        f"Found by {content['detector']} of the {study['n_regions']} regions of the test part "
        f"({study['n_groups']} parts), at"
    ]
    for category, cut in content["thresholds"].items():
        value = "no threshold" if cut["value"] is None else f"map value {cut['value']:.6g}"
        out += wrapped([f"{category}: {value}: {cut['from']}"])
    heads = [text.format(**study) for text in FOUND.values()]
    rule = f"({study['rule']['name']}: {study['rule']['about']})"
    out += wrapped([f"By equivalent diameter {rule}, with intervals of {LEVEL:g}:"], "")
    out.append(f"  {'':<20}{'regions':>8}{heads[0]:>26}{heads[1]:>26}")
    for row in study["bins"]:
        cells = "".join(f"{_estimate(row[key]):>26}" for key in FOUND)
        out.append(f"  {_span(row, unit):<20}{row['n']:>8}{cells}")
    out += _outside(study)
    for key, head in zip(FOUND, heads, strict=True):
        out += wrapped([_smallest(study["smallest"][key], head, unit)], "")
    return out


def _span(row: dict[str, Any], unit: str) -> str:
    return f"{row['low']:.3g} to {row['high']:.3g} {unit}"


def _outside(study: dict[str, Any]) -> list[str]:
    n = study["n_outside"]
    return [f"  {n} regions lie in none of these bins"] if n else []


def _estimate(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    ends = (estimate["low"], estimate["high"])
    span = "" if None in ends else f" ({ends[0]:.2f} to {ends[1]:.2f})"
    return f"{estimate['value']:.2f}{span}"


def _smallest(found: dict[str, Any], head: str, unit: str) -> str:
    start = f"Smallest size found with probability {found['probability']:g}, {head}:"
    if found["value"] is None:
        return f"{start} not known ({found['status']}). {found['note']}"
    low, high = ("open" if found[end] is None else f"{found[end]:.1f}" for end in ("low", "high"))
    return f"{start} {found['value']:.1f} {unit} ({low} to {high}). {found['note']}".rstrip()
