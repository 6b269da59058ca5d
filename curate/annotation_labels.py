"""The labels in answers of outside annotators: what is not known, and what they come to as a defect type."""

import difflib
from collections.abc import Mapping
from typing import Any

from curate.annotation_tasks import Answer
from curate.drawn_types import Region
from curate.faults import shown

Renamed = Mapping[str, str]  # label in the tool -> label that was sent


def unknown_labels(answer: Answer, package: Mapping[str, Any], renamed: Renamed) -> str:
    """What is wrong with the labels of an answer, in words that follow its image; empty when nothing is.

    Args:
        package: after data_schemas/annotation_manifest.json.
    """
    tags = set(package["tags"].values())
    used = {renamed.get(each.label, each.label) for each in answer.regions}
    unknown = sorted((used - set(package["labels"])) | (answer.tags - tags))
    if not unknown:
        return ""
    known = [*package["labels"], *sorted(tags)]
    near = [match for name in unknown for match in difflib.get_close_matches(name, known, n=1)]
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    quoted = ", ".join(f'"{shown(name[:60])}"' for name in unknown)
    return f"has the label {quoted}{hint}, which was not sent; known: {', '.join(known)}"


def typed(answer: Answer, package: Mapping[str, Any], renamed: Renamed) -> list[Region]:
    """The regions of an answer with their defect types, for curate.drawn_types.combined."""
    labels = package["labels"]
    return [
        (labels.get(renamed.get(each.label, each.label)), each.box_xyxy, each.mask) for each in answer.regions
    ]


def types_of(answer: Answer, package: Mapping[str, Any], renamed: Renamed) -> list[str]:
    """The defect types that are named in an answer, sorted."""
    return sorted({name for name, _, _ in typed(answer, package, renamed) if name is not None})
