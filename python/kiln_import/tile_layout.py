"""Where the windows of a frame lie. The same rule as the lane's planner, so that what is probed is what runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """[start, start + size) of a padded axis; the pixels [keep_start, keep_end) are taken from it."""

    start: int
    keep_start: int
    keep_end: int


def windows(length: int, size: int, halo: int, multiple: int = 1) -> list[Window]:
    """Windows of one size on an axis that is a multiple of `multiple`: the first at 0, the last ending with the axis,
    all at multiples. Neighbours share the middle of their overlap, so that every pixel is kept from exactly one
    window, in which it is at least `halo` pixels from each edge that is no edge of the axis."""
    if size >= length:
        return [Window(0, 0, length)]
    stride = size - -(-2 * halo // multiple) * multiple
    if stride < 1:
        raise ValueError(f"a tile of {size} pixels is too small for a halo of {halo}")
    count = 1 + -(-(length - size) // stride)
    starts = [min(index * stride, length - size) for index in range(count)]
    seams = [(before + size + after) // 2 for before, after in zip(starts, starts[1:])]
    return [Window(*w) for w in zip(starts, [0, *seams], [*seams, length], strict=True)]
