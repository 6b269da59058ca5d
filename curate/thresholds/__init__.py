"""Threshold rules: where to cut anomaly scores; a score >= the threshold is anomalous."""

from curate.registry import Entry

THRESHOLDS = {
    "f1_max": Entry("curate.thresholds.f1_max", "Highest F1 on a calibration part that holds defects"),
    "max_normal": Entry(
        "curate.thresholds.max_normal", "Just above the highest normal score; needs no defect"
    ),
}
