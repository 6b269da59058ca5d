"""Frozen networks that turn images into feature maps, and the runtimes that run them."""

from detectors.backbones.nets import BACKBONES, Backbone, Features
from detectors.backbones.runners import Runner
from detectors.backbones.runtimes import RUNTIMES, make_runner, recorded_runtime, resolve_runtime
from detectors.backbones.selftest import compare_runtimes, name_coffee, name_picture
from detectors.backbones.sharing import SharedFeatures, share_features

__all__ = [
    "BACKBONES",
    "RUNTIMES",
    "Backbone",
    "Features",
    "Runner",
    "SharedFeatures",
    "compare_runtimes",
    "make_runner",
    "name_coffee",
    "name_picture",
    "recorded_runtime",
    "resolve_runtime",
    "share_features",
]
