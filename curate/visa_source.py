"""What is known of VisA, whichever form of it is read: its objects, licence and citation."""

from curate.mvtec_layout import Source

OBJECTS = frozenset(
    "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum".split()
)
VISA = Source(
    OBJECTS,
    "CC BY 4.0",
    "Zou, Y., Jeong, J., Pemula, L., Zhang, D., Dabeer, O.: SPot-the-Difference Self-Supervised Pre-training "
    "for Anomaly Detection and Segmentation. ECCV 2022, arXiv:2207.14315",
)
