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
    "pixel_average_precision": Entry(
        "curate.metrics.pixel_average_precision", "Average precision over all pixels of many maps (step rule)"
    ),
    "pixel_f1_max": Entry("curate.metrics.pixel_f1_max", "F1 of pixels at the best threshold, an oracle"),
    "seg_f1": Entry("curate.metrics.seg_f1", "F1 of predicted masks, pooled over pixels"),
    "aupro": Entry(
        "curate.metrics.aupro", "Area under the per-region overlap up to a false-positive rate, 0.3 or 0.05"
    ),
    "auc_spro": Entry(
        "curate.metrics.auc_spro",
        "Area under the saturated overlap of MVTec LOCO AD's channels, up to a false-positive rate",
    ),
    "aupimo": Entry(
        "curate.metrics.aupimo",
        "Recall in each anomalous image at false-positive rates of 1e-5 to 1e-4 on normal ones",
    ),
    "region_recall": Entry(
        "curate.metrics.region_recall", "Share of the defect regions found, for one threshold"
    ),
}
