"""The page is one file that loads nothing, escapes what it tells, and says what the evaluation says."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from curate.chart_parts import fraction
from curate.evaluation import Options
from curate.evaluation_page import render
from curate.evaluation_slice_table import pixel_slices
from curate.evaluation_words import caveats, sentence
from curate.steps import evaluate, evaluation_outputs, threshold
from curate.steps.record import Context
from tests.helpers.evaluated import dataset, scored

HOSTILE = 'a"><script>alert(1)</script>\u202egnp{{head}}'
OPTIONS = Options(n_replicates=20, defect_rate=0.01, cost_miss=100, cost_false_alarm=1, cost_review=0.2)


class Page(HTMLParser):
    """What a page consists of: tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    made = scored(dataset(tmp_path_factory.mktemp("paged")))
    threshold.run(made, "keen", "f1_max")
    return made


@pytest.fixture(scope="module")
def evaluation(context: Context) -> dict[str, Any]:
    return evaluate.run(context, (), OPTIONS)["evaluation"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def text(context: Context, evaluation: dict[str, Any]) -> str:
    return evaluation_outputs.page(context, evaluation, "2031-05-01 08:00 UTC")


def plain(evaluation: dict[str, Any]) -> str:
    return render(evaluation, lambda detector, sample, lightest: "", "today", "1.2")


def renamed(content: Any, old: str, new: str) -> Any:
    """A copy with one name in place of another, in keys and in values."""
    if isinstance(content, dict):
        return {new if key == old else key: renamed(value, old, new) for key, value in content.items()}
    if isinstance(content, list):
        return [renamed(value, old, new) for value in content]
    return new if content == old else content


def test_nothing_is_loaded_and_the_page_forbids_it(text: str) -> None:
    page = Page(text)
    (policy,) = (
        str(meta["content"])
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"(https?:)?//\w", re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", text))
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "form"} == set()
    for _, attributes in page.tags:
        assert not {"srcset", "style", "onclick", "onload"} & set(attributes)
        assert str(attributes.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
        assert str(attributes.get("href") or "#").startswith("#")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    for kind, content in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_equal_input_gives_equal_bytes(context: Context, evaluation: dict[str, Any], text: str) -> None:
    assert evaluation_outputs.page(context, copy.deepcopy(evaluation), "2031-05-01 08:00 UTC") == text


def test_numbers_are_those_of_the_file(evaluation: dict[str, Any], text: str) -> None:
    page = Page(text)
    for detector in evaluation["detectors"]:
        for name, part in detector["categories"].items():
            for estimate in (*part["image"].values(), *part["pixel"].values()):
                if estimate["value"] is not None and 0.0005 <= estimate["value"] < 0.9995:
                    assert f"{estimate['value']:.3f}" in page.text
            if detector["detector"] == "keen":
                assert sentence(name, "keen", part).removeprefix(name) in page.text
    movers = [json.loads(str(each["data-steps"])) for each in page.all("div") if each.get("class") == "mover"]
    parts = [part for name in evaluation["categories"] for part in ordered(evaluation, name)]
    assert len(movers) == len(parts) == 4
    for data, part in zip(movers, parts, strict=True):
        assert data["threshold"] == part["steps"]["threshold"]
        assert data["normal"] == part["steps"]["normal"] and data["anomalous"] == part["steps"]["anomalous"]
        assert data["threshold"][data["in_force"]] == part["threshold"]["value"]


def ordered(evaluation: dict[str, Any], category: str) -> list[dict[str, Any]]:
    """Parts of a category in the order of the page: the detector with a decision first."""
    return [
        each["categories"][category]
        for each in sorted(evaluation["detectors"], key=lambda each: each["decision"] is None)
    ]


def test_the_sentence_says_it_in_words(evaluation: dict[str, Any]) -> None:
    part = copy.deepcopy(evaluation["detectors"][1]["categories"]["weave"])
    part["counts"] |= {"n_normal": 60, "n_anomalous": 25}
    part["at_threshold"] |= {"n_false_alarms": 2, "n_missed": 1}
    part["at_threshold"]["false_alarm_rate"] |= {"low": 0.004, "high": 0.115}
    part["at_threshold"]["miss_rate"] |= {"low": 0.001, "high": 0.204}
    told = sentence("weave", "keen", part)
    assert told.startswith(
        "weave: at the threshold chosen by f1_max, keen shows on the test part 2 false alarms among 60 "
        "normal images (0.95 interval 0.004 to 0.115) and 1 miss among 25 anomalous (0.95 interval 0.001 "
        "to 0.204)."
    )


def test_pictures_show_misses_and_false_alarms(evaluation: dict[str, Any], text: str) -> None:
    wanted = sum(
        len(part["worst"][kind])
        for each in evaluation["detectors"]
        for part in each["categories"].values()
        for kind in ("missed", "false_alarms", "nearest")
    )
    assert wanted > 4
    assert len(Page(text).all("img")) == wanted
    assert all(image["alt"] for image in Page(text).all("img"))


def test_hostile_names_are_escaped_and_spelt_out(evaluation: dict[str, Any]) -> None:
    odd = evaluation
    for old in ("weave", "stain", "keen"):
        odd = renamed(odd, old, f"{HOSTILE}{old}")
    first = odd["detectors"][1]["categories"][f"{HOSTILE}weave"]
    first["worst"]["nearest"] = [
        {"sample_id": "0" * 16, "relative_path": HOSTILE, "anomaly_score": 1.0, "defect_types": [HOSTILE]}
    ]
    odd["dataset"] = HOSTILE
    page = plain(odd)
    assert len(Page(page).all("script")) == 1
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert(1)") > 10
    assert "\u202e" not in page and "\\u202egnp{{head}}" in page
    assert Page(page).text.count("{{head}}") > 4


def test_weak_masks_boxes_and_odd_maps_are_named(evaluation: dict[str, Any]) -> None:
    odd = copy.deepcopy(evaluation)
    part = odd["detectors"][0]["categories"]["weave"]
    part["truth"] |= {"weak": 3, "boxes": 1, "none": 2}
    part |= {"without_truth": ["a.png", "b.png"], "not_finite": ["c.png"], "without_map": ["d.png"]}
    odd["images"]["weave"]["n_unknown"] = 4
    told = "\n".join(caveats(odd))
    for words in (
        "3 masks are weak", "1 image has boxes only", "2 anomalous images (a.png, b.png) without pixel",
        "1 map (c.png) with NaN", "1 image (d.png) without an anomaly map", "weave: 4 test images without a",
    ):  # fmt: skip
        assert words in told
        assert words in Page(plain(odd)).text
    assert told.count("max_normal") == 1  # said once for both categories
    odd["detectors"][1]["categories"]["weave"] |= {
        "truth": part["truth"],
        "without_truth": ["a.png", "b.png"],
    }
    assert "\n".join(caveats(odd)).count("masks are weak") == 1  # and once for both detectors


def test_what_is_absent_leaves_a_sentence(evaluation: dict[str, Any]) -> None:
    bare = copy.deepcopy(evaluation)
    for each in bare["detectors"]:
        for part in each["categories"].values():
            part |= {
                "cost": None,
                "regions": None,
                "pixel": {},
                "reductions": {},
                "slices": [],
                "object": None,
            }
            part["curves"] = {}
            part["worst"] = {"missed": [], "false_alarms": [], "nearest": []}
    text = Page(plain(bare)).text
    for words in (
        "State what errors cost", "No region with a known outline", "No anomalous image passes.",
        "No normal image alarms.",
    ):  # fmt: skip
        assert words in text


def test_one_detector_and_one_category_need_no_comparison(tmp_path: Path) -> None:
    made = scored(dataset(tmp_path, ("weave",)), "keen")
    result = evaluate.run(made, (), Options(n_replicates=20))
    text = Page(evaluation_outputs.page(made, result["evaluation"], "today")).text
    assert "side by side" not in text and "All categories" not in text
    assert "keen shows on the test part" in text


def test_a_table_tells_pixel_figures_of_each_slice(context: Context, evaluation: dict[str, Any]) -> None:
    page = Page(evaluation_outputs.page(context, evaluation, "today"))
    for row in evaluation["detectors"][0]["categories"]["weave"]["pixel_slices"]:
        title = "defect type" if row["column"] == "defect_type" else "diameter"
        cells = f"{title}: {row['value']} {row['n_regions']} {row['n_images']}"
        assert f"{cells} {fraction(row['figures']['pixel_auroc']['value'])}" in page.text
    assert "background is that of all images" in page.text and "own background" not in page.text


def test_many_slices_wait_behind_their_title(evaluation: dict[str, Any]) -> None:
    part = copy.deepcopy(evaluation["detectors"][0]["categories"]["weave"])
    assert "<details" not in "".join(pixel_slices(part))
    sizes = [row for row in part["pixel_slices"] if row["column"] == "region_size"]
    lots = [{**sizes[0], "column": "lot", "value": f"L{n}", "of": "images"} for n in range(25)]
    in_um = [{**row, "value": row["value"].replace(" px", " um")} for row in sizes]
    part["pixel_slices"] += [*lots, *in_um]
    text = "".join(pixel_slices(part))
    assert f"<summary>{len(part['pixel_slices']) - len(sizes)} slices</summary>" in text
    assert "lot: L24" in text and "own background" in text
    assert " um<" in text and " px<" not in text
    assert not list(pixel_slices({**part, "pixel_slices": []}))
