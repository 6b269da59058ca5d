"""Pictures of what curate writes about a dataset: reports, evaluation, summary, density."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from picture_files import DATASET, FOLDER, browsed, kept
from PIL import Image

from curate.drawing import Array


def density() -> Path:
    """Where the drawn defects of each category lie."""
    from curate.steps.density import run
    from curate.steps.record import Context
    from curate.store.server import connect
    from curate.workspace import Workspace

    workspace, path = Workspace.at(), FOLDER / "density.png"
    with connect(workspace.home):
        run(Context(workspace, workspace.existing(DATASET)), "truth", out=path, overwrite=True)
    return path


def summary() -> Path:
    """What a build draws of the demo dataset."""
    from curate.workspace import Workspace

    drawn = Workspace.at().existing(DATASET).root / "summary.png"
    return kept(Image.open(drawn), "summary.png")


def check_report() -> Path:
    """The report of the checks on drawn images that were damaged in a few ways, in a real browser."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        _report_on_damaged(Path(folder), page)
        with browsed(page) as shown:
            shown.get_by_role("button", name="Open all").click()
            return _clipped(shown, (0, 2280), "check-report.png")


def evaluate() -> Path:
    """The evaluation of the demo dataset: its top, and the pictures of one category, in a real browser."""
    from curate.evaluation import Options
    from curate.steps import evaluate as step
    from curate.steps import evaluation_outputs
    from curate.steps.record import Context
    from curate.workspace import Workspace

    workspace = Workspace.at()
    context = Context(workspace, workspace.existing(DATASET))
    costs = Options(defect_rate=0.01, cost_miss=100, cost_false_alarm=1, cost_review=0.3)
    result = step.run(context, (), costs)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "evaluation.html"
        evaluation_outputs.write(context, result["evaluation"], result["evaluated_at"], page, None)
        with browsed(page) as shown:
            begin, end = (_top(shown, name) for name in ("By kind of defect", "From map to image score"))
            first = _top(shown, "Figures")
            path = _clipped(shown, (0, first - 20), "evaluate.png")
            _clipped(shown, (begin - 10, end - 20), "evaluate-detail.png")
    return path


def _top(shown: Any, heading: str) -> float:
    """Where the first heading of a name begins on the page."""
    return float(shown.get_by_role("heading", name=heading, exact=True).first.bounding_box()["y"])


def _clipped(shown: Any, span: tuple[float, float], name: str) -> Path:
    """Keep a horizontal strip of a page as a picture of few colours."""
    clip = {"x": 0, "y": span[0], "width": 1200, "height": span[1] - span[0]}
    return kept(shown.screenshot(full_page=True, clip=clip), name)


def _report_on_damaged(folder: Path, page: Path) -> None:
    """Draw a small dataset, damage it, and write the report of its checks."""
    from curate import gate
    from curate.demo_data import write_demo
    from curate.recipe import Source
    from curate.steps import check, check_outputs, ingest, split
    from curate.steps.record import Context
    from curate.workspace import Workspace

    root = write_demo(folder / "fpc", sections=("acf", "coverlay"), n_train=20, n_good=6, n_per_defect=3)
    _damage(root)
    workspace = Workspace.at(folder / "home")
    context = Context(workspace, workspace.dataset("fpc-line-3"))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    result = check.run(context)
    limits = {"limits": {"errors": 0, "warnings": 20}, "checks": {"specks": {"max_fraction": 0.05}}}
    judged = gate.judge_result(limits, result)
    check_outputs.write(context, {**result, "gate": judged, "fixes": []}, page, None)


def _damage(root: Path) -> None:
    """A copy under two labels, a grey image, and masks that are empty, specked, or of another size."""
    good, defect = sorted((root / "acf/test/good").glob("*.png")), root / "acf/test/foreign_particle"
    (root / "acf/test/good/copy.png").write_bytes(sorted(defect.glob("*.png"))[0].read_bytes())
    Image.open(good[1]).convert("L").save(good[1])
    masks = sorted((root / "acf/ground_truth").rglob("*.png"))
    for path, change in zip(masks[:3], (_emptied, _specked, _cut), strict=True):
        Image.fromarray(change(np.asarray(Image.open(path)).copy())).save(path)


def _emptied(mask: Array) -> Array:
    return np.zeros_like(mask)


def _specked(mask: Array) -> Array:
    mask[30:200:55, 20:22] = 255
    return mask


def _cut(mask: Array) -> Array:
    return mask[:-16]
