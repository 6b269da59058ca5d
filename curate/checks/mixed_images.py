"""Finds images that are stored otherwise than the rest of their category.

A detector learns one camera: an image of another size, in grey among colour ones, or with 16 bits among
8-bit ones usually comes from another station, or from a copy that a viewer saved. What most images of a
category have is taken for right. Where the images share no such thing, as with parts that were cropped one
by one, it is noted once.
"""

from collections import Counter
from collections.abc import Iterator

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.tables import to_rows

CODE = "mixed_images"
SEVERITY = "warning"
USUAL_FRACTION = 0.75  # below it the odd ones are too many to be slips
SHOWN = 3
Kinds = dict[str, str]


def run(evidence: Evidence) -> list[Fault]:
    """One warning per odd image; one note per category and property without a usual value."""
    by_category: dict[str, dict[str, Kinds]] = {}
    for row in to_rows(evidence.samples):
        by_category.setdefault(row["category"], {})[row["relative_path"]] = {
            "size": f"{row['width']} x {row['height']} px",
            "number of channels": f"{row['channels']} channel{'s' if row['channels'] > 1 else ''}",
            "bit depth": f"{row['bit_depth']} bits per channel",
        }
    return in_order(fault for category, images in by_category.items() for fault in _compare(category, images))


def _compare(category: str, images: dict[str, Kinds]) -> Iterator[Fault]:
    usual: Kinds = {}
    for name in next(iter(images.values())):
        counts = Counter(kinds[name] for kinds in images.values())
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if ranked[0][1] >= USUAL_FRACTION * len(images):
            usual[name] = ranked[0][0]
        else:
            yield _without_majority(category, name, ranked, len(images))
    for path, kinds in images.items():
        odd = [name for name, value in usual.items() if kinds[name] != value]
        if odd:
            found = " and ".join(kinds[name] for name in odd)
            expected = " and ".join(usual[name] for name in odd)
            message = f'{path} has {found}; most of the {len(images)} images of "{category}" have {expected}.'
            yield Fault(CODE, "warning", path, message, _REMEDY)


_REMEDY = "Take the image again as the others were, or make it a category of its own."


def _without_majority(category: str, name: str, ranked: list[tuple[str, int]], n_images: int) -> Fault:
    shown = ", ".join(f"{value} ({count})" for value, count in ranked[:SHOWN])
    more = f" and {len(ranked) - SHOWN} more" if len(ranked) > SHOWN else ""
    message = (
        f'The {n_images} images of "{category}" have no usual {name}: {len(ranked)} occur, {shown}{more}.'
    )
    remedy = (
        "Nothing, if the images are crops of different parts; else make one category of each kind, "
        "because a detector learns one camera and one view."
    )
    return Fault(CODE, "note", "", message, remedy)
