"""Step: what outside annotators send back is checked, reported, and becomes verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import tables
from curate.annotation import TOOLS
from curate.annotation_answers import Decision, How, judge, summary
from curate.annotation_package import read_package, sizes_of
from curate.annotation_returns import content_of
from curate.annotation_tasks import Answer
from curate.errors import CurateError, Missing, Unreadable
from curate.faults import in_order, plain, to_rows
from curate.manifest import NAME
from curate.person_names import usable
from curate.progress import bar
from curate.registry import lookup
from curate.steps.record import Context

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a person asks for; see curate.annotation_answers.How.

    Attributes:
        package: folder that was sent, where the workspace does not know it.
        dry_run: report, and store nothing.
    """

    tool: str
    by: str | None = None
    finished: bool = False
    boxes_as_masks: bool = False
    renamed: Mapping[str, str] | None = None
    package: Path | None = None
    dry_run: bool = False


def run(context: Context, asked: Asked, path: Path) -> Row:
    """Read a file of a tool, check it and store what is new; the dataset in the database is up to date.

    Returns:
        file, tool, dry_run, n_answers, n_images (of the packages that they are of), n_untouched, n_skipped,
        n_stored, n_known (stored before), what curate.annotation_answers.summary tells, and faults.

    Raises:
        ValueError: no such tool, or --by for a file that names several people.
        Missing: there is no such file, or nothing was ever sent.
        Unreadable: the file is not of the tool, damaged or too large; nothing is stored.
    """
    tool = lookup(TOOLS, asked.tool, "annotation tool")
    packages = sent_packages(context, asked.package, asked.tool)
    try:
        answers = tool.read(content_of(path, tool.MEMBER), sizes_of(packages.values()))
    except Unreadable as error:
        text = str(error)
        raise Unreadable(text if str(path) in text else f"{text} The file is {path}.") from error
    return report(context, asked, path.name, answers, packages, tool.TELLS_WHO_HANDED_IN)


def report(
    context: Context,
    asked: Asked,
    file: str,
    answers: Sequence[Answer],
    packages: Mapping[str, Row],
    submits: bool = False,
) -> Row:
    """Judge answers and store what is new, unless it is a dry run; see run.

    Args:
        file: what they came in, for messages.
        submits: see curate.annotation_answers.How.
    """
    if asked.by is not None:
        usable(asked.by)
    people = sorted({each.by for each in answers if each.by is not None})
    if asked.by is not None and len(people) > 1:
        raise ValueError(
            f"{file} has answers of {len(people)} people ({plain(', '.join(people), 300)}); --by {asked.by} "
            "would make them one. Leave it out."
        )
    samples = tables.read(context.paths.samples)
    checksums = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    how = How(file, asked.by, asked.finished, asked.boxes_as_masks, asked.renamed, submits)
    judged = judge(answers, packages, checksums, how)
    used = {each.package for each in answers}
    return {
        "file": file, "tool": asked.tool, "dry_run": asked.dry_run, "n_answers": len(answers),
        "n_images": sum(len(content["images"]) for name, content in packages.items() if name in used),
        **{f"n_{kind}": n for kind, n in judged.silent.items()},
        **_stored(context, asked, judged.decisions),
        **summary(judged.decisions),
        "faults": to_rows(in_order(judged.faults)),
    }  # fmt: skip


def sent_packages(context: Context, folder: Path | None, tool: str) -> dict[str, Row]:
    """Manifests of what was sent to a tool, by package.

    Args:
        folder: one that was sent from elsewhere; it must be of a dataset of this name.
    """
    places = sorted(context.paths.sent.glob("*.json"))
    if folder is not None:
        places.append(folder / NAME if folder.is_dir() else folder)
    found = [read_package(place) for place in places]
    name = context.paths.name
    if folder is not None and found[-1]["dataset"] != name:
        raise CurateError(
            f'CurateError: {folder} is of the dataset "{found[-1]["dataset"]}", not of "{name}". '
            "Name the dataset that was sent."
        )
    packages = {content["package"]: content for content in found if content["tool"] == tool}
    if not packages:
        raise Missing(
            f'Missing: nothing of dataset "{name}" was sent to {tool} from this workspace. Give the folder '
            f"that was sent, --package FOLDER, or send it: curate annotate send {name} --tool {tool} "
            "--out FOLDER"
        )
    return packages


def _stored(context: Context, asked: Asked, decisions: Sequence[Decision]) -> Row:
    from curate.store import receiving
    from curate.store.server import connect
    from curate.store.verdicts import read_log, values_in_use

    with connect(context.workspace.home):
        if asked.dry_run:
            name = context.paths.name
            new = receiving.new_of(read_log(name), asked.tool, decisions, values_in_use(name))
            return {"n_stored": 0, "n_new": len(new), "n_known": len(decisions) - len(new)}
        with bar("verdicts", len(decisions)) as advance:
            result = receiving.receive(context.paths, asked.tool, decisions, advance)
    return {**result, "n_new": result["n_stored"]}


def renamed_of(options: Sequence[str]) -> dict[str, str]:
    """Labels of --label NAME=LABEL.

    >>> renamed_of(["scrach=scratch"])
    {'scrach': 'scratch'}

    Raises:
        ValueError: one is not of that form, or a name is there twice.
    """
    renamed: dict[str, str] = {}
    for option in options:
        name, equals, label = (part.strip() for part in option.partition("="))
        if not (name and equals and label) or name in renamed:
            raise ValueError(f'Expected --label NAME=LABEL, each name once; found "{option}".')
        renamed[name] = label
    return renamed
