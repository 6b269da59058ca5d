"""Label Studio's brush masks read bit by bit, as the format's description says: slow and obvious."""

from collections.abc import Sequence


def alpha_of(packed: Sequence[int]) -> list[int]:
    """The alpha of every pixel, row by row."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    place = 0

    def take(n: int) -> int:
        nonlocal place
        place += n
        return int(bits[place - n : place], 2)

    n_values = take(32)
    word = take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < n_values:
        repeated = take(1)
        run = take(sizes[take(2)]) + 1
        values += [take(word)] * run if repeated else [take(word) for _ in range(run)]
    return values[3::4]
