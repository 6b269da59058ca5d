"""AUPRO: area under the per-region overlap against the false-positive rate, up to a limit, over the limit."""

from collections.abc import Sequence

import numpy as np

from curate.images import Array
from curate.masks import label_regions
from curate.pixel_histograms import area_up_to, check_pair

LEVEL = "pixel"
FPR_LIMIT = 0.3


def compute(predicted: Sequence[Array], truth: Sequence[Array], fpr_limit: float = FPR_LIMIT) -> float:
    """Exact AUPRO as MVTec defines it; regions are 8-connected, sizes of images may differ.

    Every pixel is kept and sorted (about 40 bytes each): for large sets use `curate.pixel_histograms`, which
    agrees within about 1e-5.

    Args:
        predicted: anomaly maps, each (H, W) at the image's own size, higher is more suspicious.
        truth: ground-truth masks, each bool of its map's shape, all False for a normal image.
        fpr_limit: false-positive rate, over the background pixels of all images, in (0, 1].

    Raises:
        ValueError: the numbers or shapes differ, a value is NaN, or there is no region or no background.

    Source: Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4
    """
    if len(predicted) != len(truth):
        raise ValueError(f"Expected one mask per map; found {len(predicted)} maps and {len(truth)} masks.")
    scores, shares, n_regions = [], [], 0
    for anomaly_map, gt_mask in zip(predicted, truth, strict=True):
        check_pair(np.asarray(anomaly_map), np.asarray(gt_mask))
        labels, n_found = label_regions(gt_mask)
        areas = np.bincount(labels.reshape(-1), minlength=1).astype(np.float64)
        share = 1 / areas[labels.reshape(-1)]
        share[labels.reshape(-1) == 0] = 0
        scores.append(np.asarray(anomaly_map).reshape(-1))
        shares.append(share)
        n_regions += n_found
    values, overlap = np.concatenate(scores), np.concatenate(shares)
    n_background = int((overlap == 0).sum())
    if not n_regions or not n_background:
        absent = "region" if not n_regions else "background pixel"
        raise ValueError(f"AUPRO needs regions and background; found no {absent}.")
    if np.isnan(values).any():
        raise ValueError("Expected anomaly maps without NaN.")
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last_of_equal = np.append(ranked[1:] != ranked[:-1], True)
    fpr = np.cumsum(overlap[order] == 0)[last_of_equal] / n_background
    pro = np.minimum(np.cumsum(overlap[order])[last_of_equal] / n_regions, 1)
    return area_up_to(fpr, pro, fpr_limit)
