"""curate verdicts: who decided what, how far people agree, which questions are open; and a replay."""

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

SHOWN = 10


def run(
    name: Name,
    replay: Annotated[
        Path | None,
        typer.Option("--replay", help="Take in the verdicts of another workspace's verdicts.jsonl."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every verdict to a .parquet or .csv file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier table.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --replay: only tell what would be taken.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Tell who decided what, how far people agree, and where another opinion is needed."""
    arguments = {"name": name, "replay": replay, "out": out, "overwrite": overwrite, "dry_run": dry_run}
    with command("verdicts", home, as_json, arguments) as job:
        from curate import spreadsheets
        from curate.steps import sync
        from curate.steps import verdicts as step
        from curate.steps.outside import outside
        from curate.steps.record import Context, digest

        if dry_run and replay is None:
            raise ValueError("--dry-run tells what --replay would take: give both.")
        context = Context(job.workspace, job.workspace.existing(name), job.say)
        table = out.expanduser().absolute() if out else None
        spreadsheets.refuse(table, overwrite)
        outside(context, out=table)
        replayed = None
        if replay is not None:
            from curate.steps import verdicts_replay

            source = replay.expanduser().absolute()
            replayed = verdicts_replay.run(context, source, dry_run=dry_run)
            job.record.add_input("replayed", digest(source))  # it is a file: a pipe would never end
        elif not sync.is_current(context):
            sync.everything(context)  # verdicts that only the database holds come to the workspace
        job.record.add_input("verdicts", digest(context.paths.verdicts))
        job.result({"dataset": name, **step.run(context, table), "replay": replayed}, lines)


def lines(content: dict[str, Any]) -> str:
    """The verdicts summed up, at most 100 columns wide but for paths."""
    replayed = content["replay"]
    out = _replayed(replayed) if replayed else []
    n_images, people = content["n_images"], content["people"]
    out.append(
        f"{content['dataset']}: {_n(content['n_given'], 'decision')} by {len(people)} "
        f"{'person' if len(people) == 1 else 'people'}, {content['n_undone']} taken back; "
        f"{content['n_judged']} of {_n(n_images, 'image')} looked at"
    )
    if not people:
        return "\n".join([*out, f"Nobody has decided anything yet: curate triage {content['dataset']}"])
    if content["n_elsewhere"]:
        out.append(
            f"{content['n_elsewhere']} of all are on images that are gone or replaced: they do not count"
        )
    out += _people(people)
    for pair in content["pairs"]:
        out += _pair(pair)
    out += _open(content)
    if content["unusable_masks"]:
        out.append("WARNING: masks that are gone or altered; bring drawn_masks back from a copy:")
        out += _listed(content["unusable_masks"])
    return "\n".join([*out, f"table: {content['table']}"] if content["table"] else out)


def _people(people: list[dict[str, Any]]) -> list[str]:
    width = max(8, *(len(person["by"]) for person in people))
    head = (
        "decisions",
        "normal",
        "anomalous",
        "masks",
        "skipped",
        "unsure",
        "taken back",
        "median s",
        "total s",
    )
    keys = ("n_given", "n_normal", "n_anomalous", "n_masks", "n_skipped", "n_unsure", "n_undone")
    out = [f"  {'by':<{width}}" + "".join(f"{text:>{len(text) + 2}}" for text in head)]
    for person in people:
        cells = [str(person[key]) for key in keys]
        median, total = person["median_s"], person["total_s"]
        cells += ["-" if median is None else f"{median:.1f}", "-" if total is None else f"{total:.0f}"]
        row = "".join(f"{cell:>{len(text) + 2}}" for cell, text in zip(cells, head, strict=True))
        out.append(f"  {person['by']:<{width}}{row}")
    return out


def _pair(pair: dict[str, Any]) -> list[str]:
    from curate.wording import wrapped

    label, types, masks = pair["label"], pair["defect_type"], pair["masks"]
    out = [
        f"{' and '.join(pair['people'])} decided {_n(label['n'], 'same image')}",
        *wrapped([_agreement(label)]),
    ]
    if types["n"]:
        out += wrapped([f"defect types, {_n(types['n'], 'image')}: {_agreement(types)}"])
    if masks["n"]:
        worst = masks["worst"][0]
        out += wrapped([
            f"masks of both, {_n(masks['n'], 'image')}: overlap (IoU) {masks['median']:.2f} at the median, "
            f"lowest {worst['overlap']:.2f} in {worst['relative_path']}"
        ])  # fmt: skip
    return out


def _agreement(found: dict[str, Any]) -> str:
    kappa = found["kappa"]
    told = f"{found['n_same']} of {found['n']} alike ({found['observed']['value']:.2f})"
    if kappa["value"] is None:
        return f"{told}; {kappa['note']}"
    ends = f"{kappa['low']:.2f} to {kappa['high']:.2f}"
    return f"{told}; Cohen's kappa {kappa['value']:.2f}, 95 % interval {ends}"


def _open(content: dict[str, Any]) -> list[str]:
    out = []
    if disputed := content["disputed"]:
        out.append(f"disputed: {_n(len(disputed), 'image')}")
        out += _listed([
            f"{row['relative_path']}  {row['about']}: {_said(row)}; in force: "
            + ", ".join([row["label"], *row["defect_types"]]) for row in disputed
        ])  # fmt: skip
    if wanted := content["wanted"]:
        out.append(f"second opinion wanted: {_n(len(wanted), 'image')}")
        out += _listed([
            f"{row['relative_path']}  unsure: {', '.join(row['asked_by'])}"
            + (f"; {_said(row)}" if row["said"] else "") for row in wanted
        ])  # fmt: skip
    if out:
        out.append(f"  -> another person decides these: curate triage {content['dataset']}")
    return out


def _said(row: dict[str, Any]) -> str:
    return ", ".join(
        f"{one['by']} {one['verdict']}" + (f" ({one['defect_type']})" if one["defect_type"] else "")
        for one in row["said"]
    )


def _replayed(found: dict[str, Any]) -> list[str]:
    verb = "would be taken" if found["dry_run"] else "taken"
    out = [
        f"{found['file']}: {_n(found['n_read'], 'verdict')}; {found['n_taken']} {verb}, "
        f"{found['n_known']} known before"
    ]
    if found["people"]:
        out.append("  of " + ", ".join(f"{by}: {n}" for by, n in found["people"].items()))
    if found["cut_off"]:
        out.append("  a last line that a crash had cut off was left out")
    if found["n_masks"]:
        out.append(
            f"  {_n(found['n_masks'], 'mask')} {'would be ' * found['dry_run']}copied from drawn_masks"
        )
    for count, key, text in (
        (found["n_unknown"], "unknown", "not taken, the dataset has no such sample"),
        (found["n_other_picture"], "other_picture", "not taken, the image was another picture"),
        (len(found["missing_masks"]), "missing_masks", "masks are not in drawn_masks beside the file"),
        (len(found["damaged_masks"]), "damaged_masks", "masks beside the file are damaged"),
    ):  # fmt: skip
        if count:
            out += [f"  {count} {text}:", *_listed(found[key])]
    if found["missing_masks"] or found["damaged_masks"]:
        out.append("  -> put these masks into drawn_masks beside the file, and run the command again")
    return out


def _listed(texts: list[str]) -> list[str]:
    from curate.errors import listed

    return [f"  {line}" for line in listed(texts, SHOWN).splitlines()]


def _n(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
