"""Metrics: how well scores, maps or decisions agree with the truth; each module says its LEVEL."""

from curate.registry import Entry

METRICS = {
    "auroc": Entry("curate.metrics.auroc", "Area under the ROC curve of scores, exact"),
    "f1": Entry("curate.metrics.f1", "F1 of decisions, for one threshold"),
    "pixel_auroc": Entry(
        "curate.metrics.pixel_auroc", "Area under the ROC curve over all pixels of many maps"
    ),
    "aupro": Entry(
        "curate.metrics.aupro", "Area under the per-region overlap up to a false-positive rate of 0.3"
    ),
    "region_recall": Entry(
        "curate.metrics.region_recall", "Share of the defect regions found, for one threshold"
    ),
}
