"""Metrics: how well scores, maps or decisions agree with the truth; each module says its LEVEL."""

from curate.registry import Entry

METRICS = {
    "auroc": Entry("curate.metrics.auroc", "Area under the ROC curve of scores, exact"),
    "average_precision": Entry("curate.metrics.average_precision", "Average precision by the step rule"),
    "f1": Entry("curate.metrics.f1", "F1 of decisions, for one threshold"),
    "f1_max": Entry("curate.metrics.f1_max", "Highest F1 on the reported items, an oracle"),
    "tpr_at_fpr": Entry(
        "curate.metrics.tpr_at_fpr", "Share of anomalous items found at a false-positive rate"
    ),
    "tnr_at_miss_rate": Entry(
        "curate.metrics.tnr_at_miss_rate", "Share of normal items that pass at a miss rate"
    ),
    "precision_at_defect_rate": Entry(
        "curate.metrics.precision_at_defect_rate", "Precision of alarms at the line's own defect rate"
    ),
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
