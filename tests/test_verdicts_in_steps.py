"""A person's verdict replaces the delivered label in the export, the threshold and the training set."""

import json
from pathlib import Path

import pytest

from curate import tables, verdicts
from curate.errors import AlreadyExists, Missing
from curate.recipe import Source
from curate.steps import check, export, ingest, labels, split
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A dataset that was ingested and split; no database is needed for that."""
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(write_mvtec(tmp_path / "images"), "mvtec_ad"))
    split.run(context, seed=1)
    return context


def decide(
    context: Context, relative_path: str, verdict: str, at: str, defect_type: str | None = None
) -> None:
    rows = tables.to_rows(tables.read(context.paths.samples))
    (row,) = [row for row in rows if row["relative_path"] == relative_path]
    before = {"label": row["label"], "defect_types": row["defect_types"], "verdict": None}
    verdicts.append_mirror(
        context.paths.verdicts,
        [
            {
                "sample_id": row["sample_id"],
                "sha256": row["sha256"],
                "verdict": verdict,
                "defect_type": defect_type,
                "by": "ada",
                "at": at,
                "before": before,
            }
        ],
    )


def manifest(result: dict[str, object]) -> dict[str, dict[str, object]]:
    """Original path -> entry of the exported images."""
    content = json.loads((Path(str(result["out"])) / "manifest.json").read_text())
    return {row["relative_path"]: row for row in content["images"]}


def test_defect_accepted_as_normal_is_exported_as_normal(context: Context) -> None:
    before = manifest(export.run(context))
    path = next(p for p, row in before.items() if row["label"] == "anomalous" and row["split"] == "test")
    decide(context, path, "normal", "2026-01-01T00:00:00+00:00")
    result = export.run(context)
    assert result["n_verdicts"] == 1
    after = manifest(result)[path]
    assert (after["label"], after["mask_path"], after["defect_types"]) == ("normal", None, [])
    assert str(after["path"]).startswith("weave/test/good/")


def test_normal_marked_anomalous_without_a_mask_is_left_out_with_the_reason(context: Context) -> None:
    path = next(p for p, row in manifest(export.run(context)).items() if "test/good" in str(row["path"]))
    decide(context, path, "anomalous", "2026-01-01T00:00:00+00:00", "stain")
    result = export.run(context)
    assert path not in manifest(result)
    assert result["left_out"] == {"no_mask": 1}


def test_undone_verdict_gives_the_first_export_again(context: Context) -> None:
    first = export.run(context)
    content = (Path(first["out"]) / "manifest.json").read_bytes()
    path = next(p for p, row in manifest(first).items() if row["label"] == "anomalous")
    decide(context, path, "normal", "2026-01-01T00:00:00+00:00")
    export.run(context)
    assert (Path(first["out"]) / "manifest.json").read_bytes() != content
    decide(context, path, "undone", "2026-01-01T00:00:01+00:00")
    export.run(context)
    assert (Path(first["out"]) / "manifest.json").read_bytes() == content


def test_training_image_marked_anomalous_is_not_trained_on(context: Context) -> None:
    decide(context, "weave/train/good/000.png", "anomalous", "2026-01-01T00:00:00+00:00")
    table = labels.current(context).set_index("relative_path")
    assert table.loc["weave/train/good/000.png", "label"] == "anomalous"
    assert table.loc["weave/train/good/001.png", "label"] == "normal"


STAIN, GOOD = "weave/test/stain/000.png", "weave/test/good/000.png"


@pytest.mark.parametrize(
    ("path", "verdict", "defect_type"),
    [
        (STAIN, "skipped", None),
        (STAIN, "unsure", None),
        (STAIN, "mask_rejected", None),
        (STAIN, "anomalous", None),
        (STAIN, "anomalous", "stain"),
        (GOOD, "normal", None),
    ],
)
def test_a_verdict_that_changes_nothing_makes_no_step_out_of_date(
    context: Context, path: str, verdict: str, defect_type: str | None
) -> None:
    before = labels.digest(context)
    decide(context, path, verdict, "2026-01-01T00:00:00+00:00", defect_type)
    assert labels.digest(context) == before


def test_what_follows_from_verdicts_tells_their_digest(context: Context) -> None:
    found = [labels.digest(context)]
    decide(context, GOOD, "anomalous", "2026-01-01T00:00:00+00:00")
    found.append(labels.digest(context))
    decide(context, GOOD, "anomalous", "2026-01-01T00:00:01+00:00", "stain")
    found.append(labels.digest(context))
    decide(context, STAIN, "normal", "2026-01-01T00:00:02+00:00")
    found.append(labels.digest(context))
    assert len(set(found)) == 4
    decide(context, STAIN, "undone", "2026-01-01T00:00:03+00:00")
    assert labels.digest(context) == found[2]
    decide(context, GOOD, "undone", "2026-01-01T00:00:04+00:00")
    decide(context, GOOD, "undone", "2026-01-01T00:00:05+00:00")
    assert labels.digest(context) == found[0]


def test_a_normal_image_that_had_a_mask_loses_it_and_the_digest_tells(context: Context) -> None:
    table = tables.read(context.paths.samples)
    row = next(row for row in tables.to_rows(table) if row["relative_path"] == GOOD)
    before = {**row, "gt_mask_path": "somewhere.png"}
    decide(context, GOOD, "normal", "2026-01-01T00:00:00+00:00")
    (held,) = labels.standing(context).values()
    assert verdicts.changes(row, held) == {}
    assert verdicts.changes(before, held)["dropped"] == ["gt_mask_path"]


def test_verdict_lapses_when_its_image_is_replaced_and_holds_again_when_it_comes_back(
    context: Context, tmp_path: Path
) -> None:
    path = "weave/test/stain/000.png"
    image = tmp_path / "images" / path
    old, new = image.read_bytes(), image.with_name("001.png").read_bytes()
    decide(context, path, "normal", "2026-01-01T00:00:00+00:00")
    assert labels.current(context).set_index("relative_path").loc[path, "label"] == "normal"
    found = []
    for content in (new, old):
        image.write_bytes(content)
        ingest.run(context, Source(tmp_path / "images", "mvtec_ad"))
        now = labels.current(context).set_index("relative_path").loc[path]
        found.append((now["label"], now["verdict"]))
    assert found == [("anomalous", None), ("normal", "normal")]


def test_export_before_split_names_the_verb(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(write_mvtec(tmp_path / "images"), "mvtec_ad"))
    with pytest.raises(Missing, match="Run: curate split weave"):
        export.run(context)


def test_reingest_of_an_unchanged_source_does_nothing(context: Context, tmp_path: Path) -> None:
    before = context.paths.samples.stat().st_mtime_ns
    result = ingest.run(context, Source(tmp_path / "images", "mvtec_ad"))
    assert not result["fresh"]
    assert (result["n_added"], result["n_changed"]) == (0, 0)
    assert context.paths.samples.stat().st_mtime_ns == before


def test_changed_added_and_vanished_files_are_told_apart(context: Context, tmp_path: Path) -> None:
    good = tmp_path / "images" / "weave" / "train" / "good"
    (good / "000.png").write_bytes((good / "001.png").read_bytes())
    (good / "002.png").rename(good / "new.png")
    result = ingest.run(context, Source(tmp_path / "images", "mvtec_ad"))
    assert (result["n_added"], result["n_changed"], result["n_vanished"]) == (1, 1, 1)
    assert result["n_images"] == 18


def test_an_export_at_a_given_place_is_replaced_only_when_asked_for(context: Context, tmp_path: Path) -> None:
    first = export.run(context, out=tmp_path / "v1", replace_own=False)
    path = next(p for p, row in manifest(first).items() if row["label"] == "anomalous")
    decide(context, path, "normal", "2026-01-01T00:00:00+00:00")
    with pytest.raises(AlreadyExists, match="--overwrite"):
        export.run(context, out=tmp_path / "v1", replace_own=False)
    assert manifest(first)[path]["label"] == "anomalous"
    export.run(context, out=tmp_path / "v1", replace_own=False, overwrite=True)
    assert manifest(first)[path]["label"] == "normal"


def test_one_check_alone_leaves_the_stored_findings_of_the_others(context: Context, tmp_path: Path) -> None:
    good = tmp_path / "images" / "weave" / "train" / "good"
    (good / "000.png").write_bytes((good / "001.png").read_bytes())
    ingest.run(context, Source(tmp_path / "images", "mvtec_ad"))
    assert check.run(context, ["exact_duplicates", "mask_size"])["n_warnings"] == 1
    assert check.only(context, ["mask_size"])["findings"] == []
    assert tables.read(context.paths.findings)["code"].tolist() == ["exact_duplicates"]


def test_ingest_says_which_layout_it_recognised_and_when_a_folder_comes_twice(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "home")
    said: list[str] = []
    context = Context(workspace, workspace.dataset("weave"), said.append)
    images = write_mvtec(tmp_path / "images")
    ingest.run(context, Source(images))
    assert said[0].splitlines() == [f"Recognised {images} as mvtec_ad (--explain says why not as another)"]
    ingest.run(context, Source(images))  # the same source once more is none of another name
    assert not [line for line in said if "twice" in line]
    ingest.run(context, Source(images, name="again"))
    (told,) = [line for line in said if "twice" in line]
    assert f'The source "mvtec_ad" of dataset "weave" already takes images from {images}: ' in told
    said.clear()
    ingest.run(context, Source(images / "weave", name="part of it"))
    assert [line.split('"')[1] for line in said if "twice" in line] == ["again", "mvtec_ad"]
