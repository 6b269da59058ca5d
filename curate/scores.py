"""Checks anomaly scores and their labels before a rule or a metric uses them."""

import numpy as np

from curate.images import Array


def checked(scores: Array, labels: Array, finite: bool = True) -> tuple[Array, Array]:
    """Scores in their own floating type, and labels, both (N,).

    Args:
        scores: any shape, numbers; integers become float64.
        labels: the same shape, bool, True is anomalous.
        finite: also refuse infinite scores; NaN is always refused.

    Raises:
        ValueError: the shapes or types differ from that, or a score is not a number.
    """
    values, anomalous = np.asarray(scores), np.asarray(labels)
    if values.shape != anomalous.shape:
        raise ValueError(
            f"Expected scores and labels of one shape; found {values.shape} and {anomalous.shape}."
        )
    if anomalous.dtype != np.bool_:
        raise ValueError(f"Expected labels of type bool (True is anomalous); found {anomalous.dtype}.")
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    values, anomalous = values.reshape(-1), anomalous.reshape(-1)
    wrong = ~np.isfinite(values) if finite else np.isnan(values)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"Expected {'finite scores' if finite else 'scores without NaN'}; found {int(wrong.sum())} "
            f"that are not, the first at position {first}: {values[first]}."
        )
    return values, anomalous


def need_both(anomalous: Array, what: str) -> None:
    """Raise unless both labels occur.

    Args:
        anomalous: (N,) bool.
        what: what needs them, for the message: "AUROC".

    Raises:
        ValueError: names the absent label.
    """
    n_anomalous = int(anomalous.sum())
    if 0 < n_anomalous < len(anomalous):
        return
    absent = "anomalous" if n_anomalous == 0 else "normal"
    raise ValueError(
        f"{what} needs normal and anomalous labels; found no {absent} one among {len(anomalous)}. "
        f"Add {absent} ones."
    )
