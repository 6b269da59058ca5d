"""Refinements of a proposal: from a coarse region of a map to the edges of the image, one per file.

Each module has `refine(image, anomaly_map, coarse, ...) -> (H, W) bool` on a crop around one region:

    image: (H, W, 3) uint8.
    anomaly_map: (H, W) float32, higher is more suspicious.
    coarse: (H, W) bool, the region as the threshold cuts it; at least one pixel is True, at least one False.

The same arguments give the same mask, and none of the arrays is altered. An empty answer means: no better
outline found; curate.propose then keeps the coarse region.
"""

from curate.registry import Entry

REFINEMENTS = {
    "plain": Entry("curate.proposals.plain", "The threshold of the map alone"),
    "random_walker": Entry(
        "curate.proposals.random_walker", "Random walker from sure pixels inside and outside"
    ),
    "active_contour": Entry(
        "curate.proposals.active_contour", "Morphological Chan-Vese contour around the region"
    ),
    "grabcut": Entry("curate.proposals.grabcut", "GrabCut: colour models of inside and outside, and edges"),
    "watershed": Entry("curate.proposals.watershed", "Watershed of the image's edges from sure pixels"),
    "contrast": Entry(
        "curate.proposals.contrast", "Otsu's cut of how far pixels differ from the surroundings"
    ),
}
AUTO = "watershed"  # the best on the images measured in docs/propose.md
