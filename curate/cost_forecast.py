"""What a fit would need, told before it runs; and how that grows with images and image size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.cost import half_side

SIDES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 96, 64)  # of the model's input, to propose
FEW_IMAGES = 20  # a fit on fewer is no proposal


def forecast(
    detector: str, config: Mapping[str, Any], n_images: int, sizes_hw: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """What one detector would need for a fit, whether that is free now, and what would fit if it is not.

    Args:
        config: "profile" and fields of the detector's config.
        n_images: normals given to the fit.
        sizes_hw: heights and widths of such images.

    Returns:
        name, n_images, input_hw, fit_bytes and state_bytes (None where it makes no forecast), grows_with,
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
    fits = None if found is None or free is None else found.fit_bytes <= free
    remedies = [] if found is None else list(found.remedies)
    if found is not None and free is not None and not fits:
        height, width = made.geometry.input_hw
        needs = _Needs(detector, config, sizes_hw)
        remedies += needs.remedies(n_images, round((height * width) ** 0.5), free, remedies)
    return {
        "name": detector,
        "n_images": n_images,
        "input_hw": list(made.geometry.input_hw),
        "fit_bytes": None if found is None else found.fit_bytes,
        "state_bytes": None if found is None else found.state_bytes,
        "grows_with": None if found is None else found.grows_with,
        "remedies": remedies,
        "free_bytes": free,
        "fits": fits,
    }


@dataclass(frozen=True)
class _Needs:
    """Memory of fits of one detector at other sides and with fewer images."""

    detector: str
    config: Mapping[str, Any]
    sizes_hw: Sequence[tuple[int, int]]

    def remedies(self, n_images: int, side: int, free: int, known: Sequence[str]) -> list[str]:
        """The largest side that would fit, unless the detector names one itself, and the most images.

        Args:
            side: of the model's input, which is too large.
            known: what the detector itself proposes.
        """
        from detectors.memory import gib

        found = []
        if not any("image_side to" in each or "image_hw to" in each for each in known):
            smaller = (each for each in SIDES if each < side)
            for tried in smaller:
                if (needed := self.fit_bytes(n_images, tried)) is not None and needed <= free:
                    found.append(f"Set image_side to {tried}: {gib(needed)}.")
                    break
        if (most := self._most_images(n_images, free)) is not None:
            found.append(f"Fit on at most {most} images.")
        return found

    def fit_bytes(self, n_images: int, side: int | None = None) -> int | None:
        """None where the settings do not suit the detector."""
        import detectors
        from detectors.memory import forecast_fit

        try:
            made = detectors.create(self.detector, **at_side(self.config, side))
            found = forecast_fit(made, n_images, self.sizes_hw)
        except ValueError:
            return None
        return 0 if found is None else found.fit_bytes

    def _most_images(self, n_images: int, free: int) -> int | None:
        """By bisection, as memory never shrinks with more images; None where even few are too many."""

        def fit(n: int) -> bool:
            needed = self.fit_bytes(n)
            return needed is not None and needed <= free

        low, high = FEW_IMAGES, n_images
        if low >= high or not fit(low):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fit(middle) else (low, middle)
        return low


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
