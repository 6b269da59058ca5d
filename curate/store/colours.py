"""The colour map of the App's heat maps, for the panels that paint maps themselves."""

import base64

import cv2
import numpy as np

from curate.images import Array


def turbo() -> Array:
    """The colours of the values 0 to 255: (256, 3) uint8, RGB; see COLOUR_MAP in appearance.py."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, 0, ::-1])


def table() -> str:
    """The same as one text, base64 of 768 bytes."""
    return base64.b64encode(np.ascontiguousarray(turbo()).tobytes()).decode()
