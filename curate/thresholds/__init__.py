"""Threshold rules: where to cut anomaly scores; a score >= the threshold is anomalous."""

from curate.registry import Entry

THRESHOLDS = {
    "f1_max": Entry("curate.thresholds.f1_max", "Highest F1 on a calibration part that holds defects"),
    "youden": Entry("curate.thresholds.youden", "Highest hit rate minus false alarm rate"),
    "cost_minimal": Entry("curate.thresholds.cost_minimal", "Lowest cost at the line's own defect rate"),
    "fixed_fpr": Entry("curate.thresholds.fixed_fpr", "A stated share of normal images raises an alarm"),
    "fixed_miss_rate": Entry("curate.thresholds.fixed_miss_rate", "A stated share of defects is missed"),
    "max_normal": Entry(
        "curate.thresholds.max_normal", "Just above the highest normal score; needs no defect"
    ),
    "quantile": Entry("curate.thresholds.quantile", "A quantile of the normal scores"),
    "k_sigma": Entry("curate.thresholds.k_sigma", "Mean of normal scores plus k deviations, or robust"),
    "max_area": Entry("curate.thresholds.max_area", "No normal map has a larger component than stated"),
    "evt": Entry("curate.thresholds.evt", "Extrapolates the tail of normal scores, with a check of the fit"),
    "conformal": Entry("curate.thresholds.conformal", "P(false alarm) is bounded; needs no defect"),
    "conformal_risk": Entry("curate.thresholds.conformal_risk", "The expected miss rate is bounded"),
    "manual": Entry("curate.thresholds.manual", "A value that a person states, with the reason"),
    "review_band": Entry("curate.thresholds.review_band", "Two thresholds; between them a person looks"),
}
