"""An anomaly score in words: what the threshold says of it, and where it stands among normal images."""

CALIBRATION, OTHERS = "normal calibration images", "normal images of its category"


def shown(value: float) -> str:
    """A score with four digits.

    >>> shown(38.91650640106204), shown(0.00012345)
    ('38.92', '0.0001234')
    """
    return f"{value:.4g}"


def against_threshold(score: float, threshold: float | None, review_from: float | None = None) -> str:
    """What the threshold in force makes of a score.

    Args:
        threshold: None: none is in force for this detector and category.
        review_from: where a review band begins; None: there is none.

    >>> against_threshold(0.7, 0.5), against_threshold(0.4, 0.5, 0.3)
    ('at or above the threshold 0.5: anomalous', 'from 0.3 to below the threshold 0.5: to review')
    """
    if review_from is not None and score >= review_from and (threshold is None or score < threshold):
        upper = "on" if threshold is None else f"to below the threshold {shown(threshold)}"
        return f"from {shown(review_from)} {upper}: to review"
    if threshold is None:
        return "no threshold is in force for it" if review_from is None else "below the review band: normal"
    if score >= threshold:
        return f"at or above the threshold {shown(threshold)}: anomalous"
    return f"below the threshold {shown(threshold)}: normal"


def among_normals(n_below: int, n_equal: int, n: int, which: str = CALIBRATION) -> str:
    """How many scores of normal images a score exceeds.

    Args:
        n_below, n_equal: of the n scores, how many are lower than it, and the same as it.
        which: images they are, in words.

    >>> among_normals(36, 0, 38), among_normals(38, 0, 38)
    ('higher than 36 of 38 normal calibration images', 'higher than all 38 normal calibration images')
    """
    if n == 0:
        return f"no {which} with a score to compare with"
    if n == 1:
        relation = "higher than" if n_below else "equal to" if n_equal else "lower than"
        return f"{relation} the only one of the {which}"
    equal = f", equal to {n_equal}" if n_equal else ""
    if n_below == n:
        return f"higher than all {n} {which}"
    if n_below == 0:
        return f"higher than none of {n} {which}{equal}"
    return f"higher than {n_below} of {n} {which}{equal}"
