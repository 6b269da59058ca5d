"""Frozen networks that turn images into feature maps, and the runtimes that run them."""

from detectors.backbones.nets import BACKBONES, Backbone, Features
from detectors.backbones.runtimes import RUNTIMES, Runner, make_runner, resolve_runtime
from detectors.backbones.selftest import compare_runtimes, name_coffee, name_picture

__all__ = [
    "BACKBONES",
    "RUNTIMES",
    "Backbone",
    "Features",
    "Runner",
    "compare_runtimes",
    "make_runner",
    "name_coffee",
    "name_picture",
    "resolve_runtime",
]
