"""What a fit would need, told before it runs; and how that grows with images and image size."""

from collections.abc import Mapping, Sequence
from typing import Any

from curate.cost import half_side


def forecast(
    detector: str, config: Mapping[str, Any], n_images: int, sizes_hw: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """What one detector would need for a fit, and whether that is free now.

    Args:
        config: "profile" and fields of the detector's config.
        n_images: normals given to the fit.
        sizes_hw: heights and widths of such images.

    Returns:
        name, n_images, input_hw, fit_bytes and state_bytes (None where they are negligible), grows_with,
        remedies, free_bytes (None where the system does not tell), fits (None if unknown); or name and error.

    Raises:
        ValueError: unknown detector or setting.
    """
    import detectors
    from detectors.memory import available_bytes, forecast_fit

    made = detectors.create(detector, **config)
    try:
        found = forecast_fit(made, n_images, sizes_hw)
    except ValueError as error:
        return {"name": detector, "error": str(error)}
    free = available_bytes()
    fits = True if found is None else None if free is None else found.fit_bytes <= free
    return {
        "name": detector,
        "n_images": n_images,
        "input_hw": list(made.geometry.input_hw),
        "fit_bytes": None if found is None else found.fit_bytes,
        "state_bytes": None if found is None else found.state_bytes,
        "grows_with": None if found is None else found.grows_with,
        "remedies": [] if found is None else list(found.remedies),
        "free_bytes": free,
        "fits": fits,
    }


def at_side(config: Mapping[str, Any], side: int | None) -> dict[str, Any]:
    """Settings for an input of about side * side pixels in the aspect ratio of the normals.

    >>> at_side({"profile": "paper"}, 512)
    {'profile': 'paper', 'image_side': 512, 'image_hw': None, 'crop_hw': None}
    """
    return {**config} if side is None else {**config, "image_side": side, "image_hw": None, "crop_hw": None}


def growth(
    detector: str,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    n_images: int,
    sizes_hw: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """Forecasts for all and for half of the images, and for half the side; see data_schemas/cost.json.

    Args:
        settings: all fields of the detector's config.
    """
    smaller = {**config, **half_side(settings)}
    return {
        "from": "forecast",
        "whole": need(forecast(detector, config, n_images, sizes_hw)),
        "half_images": need(forecast(detector, config, half(n_images), sizes_hw)),
        "half_side": need(_tried(detector, smaller, n_images, sizes_hw)),
    }


def half(n_images: int) -> int:
    """Half as many images, but enough to fit on.

    >>> half(9), half(3)
    (4, 2)
    """
    return max(2, n_images // 2)


def need(found: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a forecast, or of a fit, that shows growth."""
    if error := found.get("error"):
        return {"fit_bytes": None, "state_bytes": None, "error": error}
    return {"fit_bytes": found["fit_bytes"], "state_bytes": found["state_bytes"]}


def _tried(
    detector: str, config: Mapping[str, Any], n_images: int, sizes_hw: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """A forecast for settings that nobody typed, which may not suit the detector."""
    try:
        return forecast(detector, config, n_images, sizes_hw)
    except ValueError as error:
        return {"error": str(error)}
