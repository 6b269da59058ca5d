"""Synthetic defects with exact masks, one kind per file.

Each module has `apply(image, rng, um_per_px, layers, within, ...) -> (image, gt_mask)`: nothing changes
outside the mask, and each pixel of the mask has changed.
"""

from curate.registry import Entry

DEFECTS = {
    "bubble": Entry("curate.defects.bubble", "bubble under a film or in resin: shaded core, bright rim"),
    "foreign_particle": Entry("curate.defects.foreign_particle", "fibre or crumb lying on the part"),
    "mousebite": Entry("curate.defects.mousebite", "bite out of the edge of a trace"),
    "open": Entry("curate.defects.open_trace", "gap across a trace"),
    "pinhole": Entry("curate.defects.pinhole", "small dark hole with a raised rim"),
    "scratch": Entry("curate.defects.scratch", "thin bright or dark line, tapered and broken"),
    "stain": Entry("curate.defects.stain", "soft discolouration with a faint drying rim"),
}
