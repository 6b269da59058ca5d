"""Step: fits a detector on the normal training images and scores every image of the dataset."""

from typing import Any

from curate.files import fingerprint, read_json
from curate.progress import bar
from curate.score_journal import maps_are_there
from curate.steps.joined import with_split
from curate.steps.record import Context, digest, done_before, finish


def run(
    context: Context, detector: str = "padim", settings: dict[str, Any] | None = None, seed: int = 0
) -> dict[str, Any]:
    """Fit one detector a category, then write an anomaly map and a score for every image.

    Interrupted at any moment, a second run goes on where the first stopped. Another version of curate or of
    the detector, another runtime or other backbone weights fit and score again.

    Returns:
        detector, n_scored, report (cost: seconds, ms per image, memory, size), fresh.

    Raises:
        Missing: the dataset has not been split.
        ValueError: unknown detector or setting.
        CurateError: a category has too few normal training images.
    """
    from curate.score_identity import identity
    from curate.scoring import fit_detector, score_table

    paths = context.paths
    config = {"seed": seed, **(settings or {})}
    folder = paths.detector(detector)
    samples = with_split(context)
    train = samples[(samples["assigned_split"] == "train") & (samples["label"] == "normal")]
    inputs = {
        "detector": detector,
        "config": config,
        "made_by": identity(detector, config),
        "images": digest(paths.samples),
        "split": digest(paths.split),
        "train": fingerprint(train["sample_id"].tolist()),
    }

    def work() -> dict[str, Any]:
        with bar("fitting", len(train)) as advance:
            fit_detector(train, detector, config, folder, cache=context.workspace.cache, progress=advance)
        with bar("scoring", len(samples)) as advance:
            score_table(samples, folder, cache=context.workspace.cache, progress=advance)
        return {"detector": detector, "n_scored": len(samples), "report": read_json(folder / "report.json")}

    outputs = [folder / "predictions.parquet", folder / "report.json"]
    earlier = done_before(paths, f"score-{detector}", inputs, outputs)
    if earlier is not None and maps_are_there(folder):
        return earlier
    return finish(paths, f"score-{detector}", inputs, outputs, work())
