"""How images come to the detectors of `curate score`: in tiles, in their aspect ratio, or squeezed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.score_settings import parse

PREFIX = "tiled:"
Aspect = Literal["keep", "stretch"]
Settings = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """Options of `curate score`; None leaves a detector as it is.

    Attributes:
        tile: put tiles around every detector.
        tile_side: longest side of a tile in pixels of the image; None is the side of the detector's input, so
            that a pixel of the image is at least a pixel of the input.
        tile_overlap: share of a tile that neighbours have in common.
        geometry: "keep" the aspect ratio; or "stretch" every image to a square, as many published results do.
    """

    tile: bool = False
    tile_side: int | None = None
    tile_overlap: float | None = None
    geometry: str | None = None


def wanted(
    names: Sequence[str], texts: Sequence[str], profile: str | None, shape: Shape
) -> dict[str, Settings]:
    """Settings by detector for steps.score.run_all; those that only repeat a default are left out.

    Args:
        names: known detectors, as they were named.
        texts: as typed after --set; see score_settings.parse. With tiles, "tiled:padim:overlap=0" is for
            the padim that was named.
        profile: to start from; None is the detectors' own.

    Raises:
        ValueError: a setting cannot be placed, or options contradict each other.
    """
    _check(names, shape)
    if shape.tile:
        known = tuple(f"{PREFIX}{name}:" for name in names)
        texts = [text.removeprefix(PREFIX) if text.startswith(known) else text for text in texts]
    start: Settings = {"profile": profile} if profile else {}
    given = parse(texts, names)
    found = {}
    for name in names:
        full, own = PREFIX + name if shape.tile else name, start | given[name]
        if shape.geometry is not None:
            own = _with_aspect(full, own, shape.geometry)
        found[full] = _with_tiles(full, own, shape) if shape.tile else own
    return found


def _check(names: Sequence[str], shape: Shape) -> None:
    for option, value in (("--tile-side", shape.tile_side), ("--tile-overlap", shape.tile_overlap)):
        if value is not None and not shape.tile:
            raise ValueError(f"{option} {value} says how tiles are cut, but there are none. Add --tile.")
    if shape.geometry is not None and shape.geometry not in get_args(Aspect):
        raise ValueError(f'Expected --geometry as keep or stretch, found "{shape.geometry}".')
    if not shape.tile:
        return
    for name in names:
        if "tiled" in name.split(":"):
            raise ValueError(
                f'--tile puts tiles around every detector, but "{name}" works on tiles by itself. Leave '
                f"out --tile, and say --set {name}:tile_side=PX for their side; or name it without tiled:."
            )


def _with_aspect(name: str, own: Settings, geometry: str) -> Settings:
    if "aspect" in own:
        raise ValueError(
            f"{name}: --geometry {geometry} and --set aspect={own['aspect']} say the same thing twice. Leave "
            "one of them out."
        )
    config = _config(name, own)
    changes: Settings = {} if config.aspect == geometry else {"aspect": geometry}
    if geometry == "stretch" and config.image_hw is None:
        changes["image_hw"] = [config.image_side, config.image_side]
    return own | changes


def _with_tiles(name: str, own: Settings, shape: Shape) -> Settings:
    config = _config(name, own)
    side = shape.tile_side or (min(config.image_hw) if config.image_hw else config.image_side)
    changes: Settings = {}
    for key, option, value in (
        ("tile_side", "--tile-side", shape.tile_side), ("overlap", "--tile-overlap", shape.tile_overlap),
    ):  # fmt: skip
        if key in own and value is not None:
            raise ValueError(
                f"{name}: {option} {value} and --set {key}={own[key]} say the same thing twice. Leave one of "
                "them out."
            )
    if "tile_side" not in own and config.tile_side != side:
        changes["tile_side"] = side
    if shape.tile_overlap is not None and config.overlap != shape.tile_overlap:
        changes["overlap"] = shape.tile_overlap
    _config(name, own | changes)
    return own | changes


def _config(name: str, own: Settings) -> Any:
    """The detector's settings with those that were given; says which detector refuses one."""
    from detectors import detector_class

    try:
        return detector_class(name).config_class.from_profile(**{"profile": "cpu", **own})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
