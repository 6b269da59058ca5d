"""Normal FPC images from a seed, one section of the product per file.

A section has `UM_PER_PX` (its usual scale), `UM_PER_PX_RANGE`, and `paint(part) -> Painting`.
`curate.scenes.scene.render` photographs it.
"""

from curate.registry import Entry

SCENES = {
    "acf": Entry("curate.scenes.acf", "bonding zone: bumps with captured conductive particles"),
    "coverlay": Entry("curate.scenes.coverlay", "coverlay with openings over gold pads, traces beneath"),
    "shield": Entry("curate.scenes.shield", "black shield film over traces, with a grounding window"),
    "sus": Entry("curate.scenes.sus", "brushed stainless stiffener with a hole, glued beside the circuit"),
    "trace": Entry("curate.scenes.trace", "gold fingers and the traces that fan in to them"),
}
