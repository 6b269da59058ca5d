"""The sample table together with what later steps found out; what does not fit together is refused."""

import pandas as pd

from curate import tables
from curate.errors import Missing, Unreadable, listed
from curate.files import fingerprint, sha256_file
from curate.steps import labels
from curate.steps.record import Context, digest, recorded

SCORED = ["sample_id", "anomaly_score", "raw_map"]


def with_split(context: Context) -> pd.DataFrame:
    """Sample table, verdicts applied, with the column assigned_split.

    Raises:
        Missing: the dataset has not been split, or got images since.
    """
    paths = context.paths
    if not paths.split.exists():
        raise Missing(f'Missing: dataset "{paths.name}" has no split. Run: curate split {paths.name}')
    samples, split = labels.current(context), tables.read(paths.split)
    new = samples[~samples["sample_id"].isin(split["sample_id"])]
    if len(new):
        raise Missing(
            f'Missing: {len(new)} of {len(samples)} images of dataset "{paths.name}" came after its split:\n'
            f"{listed(new['relative_path'].tolist())}\nRun: curate split {paths.name}"
        )
    return samples.merge(split, on="sample_id")


def with_scores(context: Context, detector: str) -> pd.DataFrame:
    """Sample table with assigned_split, and with anomaly_score and raw_map of one detector.

    Calibration images that the detector learned from, or that show the same parts, count as "train" here.

    Raises:
        Missing: a step that has to come before has not run since the images or the split changed; says which.
        Unreadable: the file of the scores has not exactly one for each image.
    """
    paths = context.paths
    samples = with_split(context)
    predictions = paths.detector(detector) / "predictions.parquet"
    again = f"Run: curate score {paths.name} --detector {detector}"
    if not predictions.exists():
        known = ", ".join(paths.detectors()) or "no detector yet"
        raise Missing(
            f'Missing: dataset "{paths.name}" has no scores of {detector} (it has those of: {known}). {again}'
        )
    made_of = recorded(paths, paths.score_step(detector))["inputs"]
    for what, path in (("images", paths.samples), ("split", paths.split)):
        if made_of.get(what) != digest(path):
            raise Missing(
                f'Missing: the {what} of dataset "{paths.name}" changed since {detector} scored it. {again}'
            )
    scores = tables.read(predictions)
    if fault := _fault(scores, samples):
        raise Unreadable(f"Unreadable: {predictions} is not what {detector} left: {fault} {again}")
    merged = samples.merge(scores[SCORED], on="sample_id")
    merged.loc[merged["sample_id"].isin(set_aside(context, detector)), "assigned_split"] = "train"
    return merged


def _fault(scores: pd.DataFrame, samples: pd.DataFrame) -> str:
    """What is wrong with a table of scores, in words; empty when nothing is."""
    if absent := [name for name in SCORED if name not in scores]:
        return f"it has no column {', '.join(absent)}."
    twice = scores["sample_id"][scores["sample_id"].duplicated()]
    if len(twice):
        return f"{len(twice)} images have several scores:\n{listed(twice.tolist())}\n"
    without = samples[~samples["sample_id"].isin(scores["sample_id"])]
    if len(without):
        return f"{len(without)} images have no score:\n{listed(without['relative_path'].tolist())}\n"
    return ""


def set_aside(context: Context, detector: str) -> list[str]:
    """Sample ids of calibration images that are no evidence for a detector: it learned from their parts."""
    result = recorded(context.paths, context.paths.score_step(detector))["result"]
    found: list[str] = result.get("report", {}).get("training", {}).get("set_aside", [])
    return found


def masks_digest(context: Context) -> str:
    """Checksum of the masks in force: those that ingest made, and which of people are in their place."""
    masks = sorted(context.paths.masks.glob("*.png"))
    return fingerprint([*((path.name, sha256_file(path)) for path in masks), *labels.drawn(context).items()])
