"""Square patches of images: where they are drawn, how they are cut out, how their scores become a map.

A patch is named by its corner, the (row, column) of its first pixel.

The eight directions, the distances between neighbours and the jitter are those of Patch-SVDD: Yi, Yoon,
"Patch SVDD: Patch-level SVDD for Anomaly Detection and Segmentation", ACCV 2020, arXiv:2006.16067. In the
authors' published code, a neighbour beyond the border is moved inside and keeps its direction, which may no
longer be true; here both patches are drawn where they fit.
"""

import torch
from torch import Tensor

# of a neighbour, (row, column); the opposite of direction n is 7 - n
DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def neighbour_corners(
    image_hw: tuple[int, int], side: int, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of patches that lie beside each other, and in which of eight directions.

    Along an axis of its direction the second patch is 3/4 of a side to a whole side (less one pixel) away. In
    images too narrow for it, only the directions that fit are drawn.

    Args:
        image_hw: of the images.
        side: of the patches, in pixels.
        n: how many pairs.
        generator: on the CPU.

    Returns:
        first, second: (n, 2) int64 corners.
        direction: (n,) int64, from the first to the second, an index into DIRECTIONS.

    Raises:
        ValueError: no two neighbours fit into the image.
    """
    room = torch.tensor(image_hw) - side
    least, n_steps = 3 * side // 4, side // 4
    fits = [
        index
        for index, moves in enumerate(DIRECTIONS)
        if all(int(room[axis]) >= (least if moves[axis] else 0) for axis in (0, 1))
    ]
    if not fits:
        raise ValueError(
            f"Expected images that hold two neighbouring patches of {side} pixels, found {image_hw}. Choose "
            "a larger image_side, or a smaller patch_side."
        )
    direction = torch.tensor(fits)[torch.randint(len(fits), (n,), generator=generator)]
    steps = (room - least + 1).clamp(1, n_steps)  # distances that fit, along each axis
    distance = least + _uniform(torch.zeros(1, 2), steps.expand(n, 2) - 1, generator)
    shift = torch.tensor(DIRECTIONS)[direction] * distance
    return *_placed(shift, room, generator), direction


def jittered_corners(
    image_hw: tuple[int, int], side: int, most: int, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pairs of patches at almost the same place, never at the same.

    Args:
        image_hw: of the images.
        side: of the patches, in pixels.
        most: pixels between the two, along each axis; less where the image has no room.
        n: how many pairs.
        generator: on the CPU.

    Returns:
        first, second: (n, 2) int64 corners.

    Raises:
        ValueError: the image has no room for a second place.
    """
    room = torch.tensor(image_hw) - side
    reach = [min(most, int(each)) for each in room]
    shifts = [
        (row, column)
        for row in range(-reach[0], reach[0] + 1)
        for column in range(-reach[1], reach[1] + 1)
        if row or column
    ]
    if min(reach) < 0 or not shifts:
        raise ValueError(f"Expected images larger than a patch of {side} pixels, found {image_hw}.")
    shift = torch.tensor(shifts)[torch.randint(len(shifts), (n,), generator=generator)]
    return _placed(shift, room, generator)


def _placed(shift: Tensor, room: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """First corners such that both they and the shifted ones lie within 0..room, and the shifted ones."""
    first = _uniform((-shift).clamp(min=0), room - shift.clamp(min=0), generator)
    return first, first + shift


def _uniform(low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers from low to high, both included."""
    share = torch.rand(high.shape, generator=generator, dtype=torch.float64)
    return (low + (share * (high - low + 1)).floor()).long()


def cut(images: Tensor, index: Tensor, corners_rc: Tensor, side: int) -> Tensor:
    """Patches of images.

    Args:
        images: (N, C, H, W).
        index: (n,) which image each patch is of.
        corners_rc: (n, 2) within the image.
        side: of the patches, in pixels.

    Returns:
        (n, C, side, side), of the images' type.
    """
    windows = images.unfold(2, side, 1).unfold(3, side, 1)
    return windows[index, :, corners_rc[:, 0], corners_rc[:, 1]]


def mean_image(images: Tensor) -> Tensor:
    """(3, H, W) float32 in [0, 1]: the mean of (N, H, W, 3) uint8 images at each pixel."""
    total = torch.zeros(images.shape[1:], dtype=torch.float64)
    for each in images:
        total += each
    return (total / (255 * len(images))).permute(2, 0, 1).float()


def grid_hw(image_hw: tuple[int, int], side: int, stride: int) -> tuple[int, int]:
    """How many patches, at a stride from the first pixel on, fit into an image's height and width.

    >>> grid_hw((128, 96), side=32, stride=16)
    (7, 5)
    """
    rows, columns = (max(0, (n - side) // stride + 1) for n in image_hw)
    return rows, columns


def spread_matrix(n_pixels: int, side: int, stride: int) -> Tensor:
    """One axis of the way from patch scores to pixels: each pixel gets the mean of the patches over it.

    The patches over a pixel are all pairs of those over its row and those over its column, so a map is
    rows @ scores @ columns.T. Pixels beyond the last patch take what the last one within has.

    Returns:
        (n_pixels, n_patches) float32; rows sum to 1.

    >>> spread_matrix(5, side=2, stride=1)[1]
    tensor([0.5000, 0.5000, 0.0000, 0.0000])
    """
    n_patches = (n_pixels - side) // stride + 1
    pixels, starts = torch.arange(n_pixels)[:, None], stride * torch.arange(n_patches)[None]
    pixels = pixels.clamp(max=int(starts.max()) + side - 1)
    over = ((pixels >= starts) & (pixels < starts + side)).float()
    return over / over.sum(dim=1, keepdim=True)
