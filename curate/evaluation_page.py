"""An evaluation as one HTML file that opens anywhere, without a network.

Charts and pictures are part of the file. Everything that comes from the dataset is escaped; the page forbids
itself to load anything, and to run any script or style but its own, which it names by their checksums. It
tells all its numbers without the script, too. Equal input gives equal bytes.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from curate.charts import PALETTE, Dot, dots
from curate.check_report import shown
from curate.evaluation_blocks import figure
from curate.evaluation_sections import Picture, category, costs
from curate.evaluation_words import caveats, counted, sentence

Part = Mapping[str, Any]
HEADLINES = (("image", "image_auroc", "Image AUROC"), ("pixel", "aupro_0.3", "AUPRO 0.3"))
TERMS = (
    ("Test part", "Images that neither a detector's fit nor the choice of its threshold has seen."),
    ("Interval", "Where the true figure lies with the stated confidence: exact (Clopper-Pearson) for "
     "shares of independent images, else by drawing whole parts again and again."),
    ("False alarm, miss", "A normal image at or above the threshold; an anomalous one that passes."),
    ("AUROC", "Chance that an anomalous item scores above a normal one; 0.5 is guessing."),
    ("Average precision", "Precision averaged over recall, by the step rule; depends on the mix of labels."),
    ("F1-max", "The best F1 of any threshold on these very images: an oracle."),
    ("AUPRO", "Overlap with each 8-connected region at the original resolution, averaged up to the stated "
     "false-positive rate of pixels and divided by it."),
    ("AUPIMO", "Recall of each image's pixels at 1 to 10 false pixels in 100,000 on normal images."),
    ("Oracle", "Chosen on the images it is told of; never a promise for new ones."),
)  # fmt: skip


def render(evaluation: Part, picture: Picture, date: str, version: str) -> str:
    """The whole page.

    Args:
        evaluation: after data_schemas/evaluation.json.
        picture: makes the strip of a detector and a sample as an HTML image.
        date: when the evaluation was computed, as text.
        version: of curate.
    """
    source = {name: _file(f"evaluation_page.{name}") for name in ("html", "css", "js")}
    ordered = _ordered(evaluation)
    names = ordered["categories"]
    sections = (
        line for index, name in enumerate(names) for line in category(ordered, name, picture, index == 0)
    )
    parts = {
        "title": f"{shown(evaluation['dataset'])}: evaluation",
        "policy": (
            f"default-src 'none'; img-src data:; style-src '{_checksum(source['css'])}'; "
            f"script-src '{_checksum(source['js'])}'; base-uri 'none'; form-action 'none'"
        ),
        "style": source["css"],
        "script": source["js"],
        "head": "\n".join(_head(ordered, date, version)),
        "summary": "\n".join(_summary(ordered)),
        "sections": "\n".join(sections),
        "close": "\n".join(_close(ordered)),
        "foot": f"Made by curate {shown(version)}. No part of this page was loaded from elsewhere.",
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], source["html"])


def _file(name: str) -> str:
    return files("curate").joinpath(name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    """As a content security policy names the one script or style that may be used."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _ordered(evaluation: Part) -> dict[str, Any]:
    """With the detectors that a threshold was decided for first."""
    detectors = sorted(evaluation["detectors"], key=lambda each: each["decision"] is None)
    return {**evaluation, "detectors": detectors}


def _head(evaluation: Part, date: str, version: str) -> Iterator[str]:
    images = evaluation["images"].values()
    n = sum(each["n_normal"] + each["n_anomalous"] for each in images)
    yield f"<h1>{shown(evaluation['dataset'])}: evaluation</h1>"
    made = f"Evaluated {shown(date)} with curate {shown(version)}."
    yield f'<p class="facts">On the untouched test part. {made}</p>'
    yield '<ul class="tiles">'
    cells = (
        (n, "test image"),
        (sum(each["n_anomalous"] for each in images), "anomalous"),
        (sum(each["n_groups"] for each in images), "part"),
        (len(evaluation["categories"]), "category"),
        (len(evaluation["detectors"]), "detector"),
    )
    plurals = {"category": "categories", "anomalous": "anomalous"}
    for count, name in cells:
        told = name if count == 1 else plurals.get(name, f"{name}s")
        yield f"<li><b>{count:,}</b><span>{told}</span></li>"
    yield "</ul>"


def _summary(evaluation: Part) -> Iterator[str]:
    main = evaluation["detectors"][0]
    yield '<h2 class="first">In short</h2><ul class="short">'
    for name, part in main["categories"].items():
        told = sentence(name, main["detector"], part).removeprefix(name)
        yield f"<li><b>{shown(name)}</b>{shown(told)}</li>"
    if main["overall"] is not None and main["overall"]["at_threshold"] is not None:
        found = main["overall"]["at_threshold"]
        alarms = (
            f"{counted(found['n_false_alarms'], 'false alarm')} among {found['n_normal']:,} normal images"
        )
        misses = f"{counted(found['n_missed'], 'miss', 'misses')} among {found['n_anomalous']:,} anomalous"
        yield f"<li><b>All categories</b>: {alarms} and {misses}.</li>"
    yield "</ul>"
    yield '<div class="two">'
    for level, metric, title in HEADLINES:
        rows = list(_headline(evaluation, level, metric))
        if any(row.value is not None for row in rows):
            yield figure(f"<h4>{title}</h4>{dots(rows, title, title, whole=False)}")
    yield "</div>"
    known = caveats(evaluation)
    if known:
        lines = "".join(f"<li>{shown(line)}</li>" for line in known)
        yield f'<div class="caveats"><b>Before relying on these figures</b><ul>{lines}</ul></div>'
    if len(evaluation["categories"]) > 1:
        links = "".join(
            f'<li><a href="#category-{index}">{shown(name)}</a></li>'
            for index, name in enumerate(evaluation["categories"])
        )
        links += '<li><a href="#cost">Time and memory</a></li>'
        yield f'<nav aria-label="Categories"><ul>{links}</ul></nav>'


def _headline(evaluation: Part, level: str, metric: str) -> Iterator[Dot]:
    """A figure of every category and detector, and its mean over the categories."""
    several = len(evaluation["detectors"]) > 1
    for name in [*evaluation["categories"], None]:
        for index, each in enumerate(evaluation["detectors"]):
            part = each["overall"] if name is None else each["categories"].get(name)
            if part is None or not (part[level] or {}).get(metric):
                continue
            estimate, place = part[level][metric], "mean" if name is None else name
            title = f"{place}, {each['detector']}" if several else place
            colour = PALETTE[index % len(PALETTE)]
            yield Dot(title, estimate["value"], estimate["low"], estimate["high"], colour=colour)


def _close(evaluation: Part) -> Iterator[str]:
    yield from costs(evaluation)
    yield "<h2>How to read this</h2><dl>"
    yield "".join(f"<dt>{term}</dt><dd>{shown(meaning)}</dd>" for term, meaning in TERMS)
    yield "</dl>"
    options = evaluation["options"]
    told = f"{options['n_replicates']:,} replicates over images, {options['pixel_replicates']:,} over pixels"
    yield f'<p class="hint">Intervals at {options["level"]:g}; {told}, seed {options["seed"]}.</p>'
