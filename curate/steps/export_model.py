"""Step: a fitted detector as files that other programs run, one folder for each category."""

from pathlib import Path
from typing import Any

from curate.errors import AlreadyExists, Missing
from curate.files import read_json, writing
from curate.score_fit import category_folder
from curate.score_report import fitted_as_scored
from curate.steps.joined import with_split
from curate.steps.record import Context, digest, recorded

N_PROBE = 4  # images of each category that the graphs are compared with Python on
MARK = "model.json"


def run(
    context: Context,
    detector: str,
    out: Path,
    *,
    categories: list[str] | None = None,
    onnx: bool = True,
    openvino: bool = True,
    fpr: float = 0.01,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write out/<category>/model.onnx, model.xml, model.bin and model.json for each fitted category.

    The threshold is the one that `curate threshold` chose for this detector; where there is none, the lowest
    that at most `fpr` of the held-out normal images reach.

    Args:
        context: of the dataset.
        detector: that `curate score` has fitted.
        out: target folder; made if absent.
        categories: some of the dataset's; all when None.
        onnx, openvino: formats to write.
        fpr: see above.
        overwrite: replace a model that is already there.

    Returns:
        detector, out, models: one row for each category (category, folder, threshold, threshold_from,
        agreement).

    Raises:
        Missing: the detector is not fitted, or not for one of the categories; or its threshold was chosen on
            other scores.
        AlreadyExists: a model is there already, or something else is.
        NotImplementedError, ValueError: the detector cannot be written so, or differs; see detectors.export.
    """
    import detectors
    from detectors.export import export

    wanted = _fitted(context, detector, categories)
    targets = {category: out / category_folder(category) for category in wanted}
    for target in targets.values():
        _check_place(target, overwrite)
    samples = with_split(context)
    models = []
    for category, target in targets.items():
        fitted = detectors.load(wanted[category], cache_folder=context.workspace.cache)
        threshold, source = _threshold(context, detector, category, fitted, fpr)
        facts = {"category": category, "dataset": context.paths.name, "threshold_from": source}
        rows = samples[samples["category"] == category].sort_values("sample_id").head(N_PROBE)
        out.mkdir(parents=True, exist_ok=True)
        with writing(target):
            found = export(
                fitted, target, threshold=threshold, onnx=onnx, openvino=openvino, facts=facts,
                probe=[_image(path) for path in rows["filepath"]],
            )  # fmt: skip
        agreement = {name: vars(each) for name, each in found.items()}
        models.append(
            {
                "category": category,
                "folder": str(target),
                "threshold": threshold,
                "threshold_from": source,
                "agreement": agreement,
            }
        )
    return {"detector": detector, "out": str(out), "models": models}


def _image(path: str) -> Any:
    from curate.images import read_image
    from curate.score_images import to_uint8

    return to_uint8(read_image(Path(path)))


def _fitted(context: Context, detector: str, categories: list[str] | None) -> dict[str, Path]:
    """Category -> its state folder."""
    state, name = context.paths.detector(detector) / "state", context.paths.name
    metas = sorted(state.glob("*/meta.json"))
    found = {str(read_json(path)["category"]): path.parent for path in metas}
    asked = categories or sorted(found)
    if absent := [each for each in asked if each not in found]:
        raise Missing(
            f"Missing: {detector} is not fitted for {', '.join(absent)}; it is for "
            f"{', '.join(sorted(found)) or 'nothing'}. Run: curate score {name} --detector {detector}"
        )
    if not asked:
        raise Missing(
            f"Missing: {detector} is not fitted for this dataset. Run: curate score {name} --detector "
            f"{detector}"
        )
    return {each: found[each] for each in asked}


def _check_place(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not (target / MARK).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(
            f"AlreadyExists: {target} is there already and is no exported model. Choose another --out."
        )
    if (target / MARK).is_file() and not overwrite:
        raise AlreadyExists(
            f"AlreadyExists: {target} holds an exported model. Say --overwrite to replace it, or choose "
            "another --out."
        )


def _threshold(context: Context, detector: str, category: str, fitted: Any, fpr: float) -> tuple[float, str]:
    path = context.paths.threshold
    if path.exists():
        chosen = read_json(path)
        if chosen["detector"] == detector and category in chosen["by_category"]:
            _check_scores(context, detector)
            row = chosen["by_category"][category]
            if row["threshold"] is None:
                raise Missing(
                    f"Missing: the rule {chosen['rule']} found no threshold for {category}: {row['reason']} "
                    f"Choose another rule: curate threshold {context.paths.name} --advise"
                )
            return float(row["threshold"]), f"rule {chosen['rule']}"
    return float(fitted.calibration.threshold(fpr)), f"held-out normals, at most {fpr:g} false alarms"


def _check_scores(context: Context, detector: str) -> None:
    """Refuse a threshold unless it was chosen on scores of the detector as it is now fitted."""
    folder, name = context.paths.detector(detector), context.paths.name
    if not fitted_as_scored(folder):
        raise Missing(
            f"Missing: {detector} was fitted again, and has not scored since, so its threshold is of other "
            f"scores. Run: curate score {name} --detector {detector}"
        )
    made_of = recorded(context.paths, "threshold")["inputs"]
    if made_of.get("predictions") != digest(folder / "predictions.parquet"):
        raise Missing(
            f"Missing: {detector} scored again since its threshold was chosen. Run: curate threshold {name} "
            f"--detector {detector}"
        )
