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
    """Windows of one size that lie inside an axis, with origins at multiples of `multiple`, the first at 0 and the last
    at length - size. Every pixel is kept from exactly one window, in which it is at least `halo` pixels from each
    edge that is no edge of the axis."""
    if size >= length:
        return [Window(0, 0, length)]
    step = (size - 2 * halo) // multiple * multiple
    if step < 1:
        raise ValueError(f"a tile of {size} pixels is too small for a halo of {halo}")
    starts = list(range(0, length - size, step)) + [length - size]
    result = []
    keep_start = 0
    for index, start in enumerate(starts):
        is_last = index + 1 == len(starts)
        keep_end = length if is_last else start + size - halo
        result.append(Window(start, keep_start, keep_end))
        keep_start = keep_end
    return result
