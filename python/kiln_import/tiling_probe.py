"""Finds out, by trying, how a network may be tiled: exactly, approximately, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from .network import Network
from .tile_layout import windows

EXACT_RADIUS_MAX = 64
EXACT_DIFFERENCE_MAX = 1e-5
APPROXIMATE_DIFFERENCE_MAX = 1 / 255
HALOS = (4, 8, 12, 16, 20, 24, 32, 40, 48, 64)
# (tile, frame) sides. The small frame holds twice the largest exact radius; approximate tiling is better judged on the
# large one, where the network is not too slow. What is chosen depends on the network, never on this machine's speed.
LARGE_PROBE = (176, 232)
SMALL_PROBE = (104, 152)
LARGE_PROBE_OPERATIONS_MAX = 1.5e12
COST_SAMPLE_SIDE = 48


@dataclass(frozen=True)
class Tiling:
    kind: str  # "exact", "approximate", "whole"
    halo: int = 0
    difference: float = 0.0


def probe(network: Network) -> Tiling:
    if not network.may_tile or network.size.square:
        return Tiling("whole")
    side = _rounded(network, SMALL_PROBE[1])
    frame = test_picture(network, side, side)
    whole = network.run(frame)
    if not torch.isfinite(whole).all():
        return Tiling("whole")
    radius = _radius(network, frame, whole)
    # The radius was seen at one position; a network with windows or strides may look further from another.
    for halo in sorted({radius, radius + 1, radius + network.size.multiple}):
        if halo <= EXACT_RADIUS_MAX and _is_exact(network, frame, whole, halo):
            return Tiling("exact", halo)
    return _approximate(network)


def test_picture(network: Network, height: int, width: int) -> torch.Tensor:
    """Waves, edges and noise in 0..1, the same on every machine."""
    generator = torch.Generator().manual_seed(20)
    y = torch.linspace(0, 1, height).view(1, height, 1)
    x = torch.linspace(0, 1, width).view(1, 1, width)
    shift = torch.arange(network.channels).view(-1, 1, 1) * 0.7
    picture = 0.5 + 0.2 * torch.sin(19 * x + 7 * y + shift) + 0.15 * torch.sin(83 * x * y + shift)
    checks = ((x * 11).floor() + (y * 13).floor()) % 2 * 0.2 - 0.1
    picture = picture + checks + 0.05 * torch.randn(network.channels, height, width, generator=generator)
    picture = picture.clamp(0, 1)
    result = network.input_like(height, width)
    if network.frames > 1:
        for index in range(network.frames):
            result[0, index] = picture.roll(3 * index, dims=2)
    else:
        result[0] = picture
    return result


def _rounded(network: Network, side: int) -> int:
    return -(-max(side, network.size.minimum) // network.size.multiple) * network.size.multiple


def _probe_sides(network: Network) -> tuple[int, int]:
    sample = test_picture(network, *network.size.padded(COST_SAMPLE_SIDE, COST_SAMPLE_SIDE))
    with FlopCounterMode(display=False) as counter:
        network.run(sample)
    per_pixel = counter.get_total_flops() / (sample.shape[-1] * sample.shape[-2])
    tile, side = LARGE_PROBE if per_pixel * LARGE_PROBE[1] ** 2 <= LARGE_PROBE_OPERATIONS_MAX else SMALL_PROBE
    return _rounded(network, tile), _rounded(network, side)


def _radius(network: Network, frame: torch.Tensor, whole: torch.Tensor) -> int:
    """How far from the middle pixel its value is felt. Not-a-number spreads along every arithmetic path, whatever the
    weights; a changed value finds the paths that swallow it (a maximum, a comparison)."""
    height, width = frame.shape[-2:]
    middle_y, middle_x = height // 2, width // 2
    reach = 0
    for value in (float("nan"), None):
        changed = frame.clone()
        pixel = changed[..., middle_y, middle_x]
        pixel.copy_(1 - pixel if value is None else torch.full_like(pixel, value))
        felt = _differs(network.run(changed), whole)
        rows = felt.any(dim=1).nonzero().flatten() // network.scale
        columns = felt.any(dim=0).nonzero().flatten() // network.scale
        for middle, places in ((middle_y, rows), (middle_x, columns)):
            if len(places):
                reach = max(reach, int((places - middle).abs().max()))
    return reach


def _differs(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Per output pixel, whether any channel's bits differ."""
    return (a.contiguous().view(torch.int32) != b.contiguous().view(torch.int32))[0].any(dim=0)


def _is_exact(network: Network, frame: torch.Tensor, whole: torch.Tensor, halo: int) -> bool:
    """At one tile shape: nothing outside tile + halo changes a bit inside, and tiled equals untiled."""
    side = frame.shape[-1]
    multiple = network.size.multiple
    tile = -(-(2 * halo + 8) // multiple) * multiple
    if tile >= side or tile < network.size.minimum:
        tile = -(-max(network.size.minimum, side * 3 // 4) // multiple) * multiple
    if tile >= side or tile <= 2 * halo:
        return False
    middle = (side - tile) // 2 // multiple * multiple
    outside = torch.rand(frame.shape, generator=torch.Generator().manual_seed(21))
    trials = [(outside, start) for start in (0, middle, side - tile)]
    # Along arithmetic paths of any weight. Only away from the frame's edges: networks with shifted windows join
    # opposite edges there and then mask them with a number so small that no finite value comes through.
    trials.insert(0, (torch.full_like(frame, float("nan")), middle))
    for surroundings, start in trials:
        changed = surroundings.clone()
        window = (..., slice(start, start + tile), slice(start, start + tile))
        changed[window] = frame[window]
        if _felt_inside(network.run(_as_traced(changed, network)), whole, network, start, tile, side, halo):
            return False
    # Two tiles an axis are enough: an inner edge is an inner edge.
    tile = -(-max(side // 2 + halo + multiple, tile) // multiple) * multiple
    return (run_tiled(network, frame, tile, halo) - whole).abs().max().item() <= EXACT_DIFFERENCE_MAX


def _as_traced(x: torch.Tensor, network: Network) -> torch.Tensor:
    return x if network.frames > 1 else x.to(memory_format=torch.channels_last)


def _felt_inside(output: torch.Tensor, whole: torch.Tensor, network: Network, start: int, tile: int, side: int,
                 halo: int) -> bool:  # fmt: skip
    first = 0 if start == 0 else start + halo
    last = side if start + tile == side else start + tile - halo
    inside = slice(first * network.scale, last * network.scale)
    return bool(_differs(output, whole)[inside, inside].any())


def run_tiled(network: Network, frame: torch.Tensor, tile: int, halo: int) -> torch.Tensor:
    scale = network.scale
    height, width = frame.shape[-2:]
    result = torch.empty(1, network.channels, height * scale, width * scale)
    for row in windows(height, tile, halo, network.size.multiple):
        for column in windows(width, tile, halo, network.size.multiple):
            part = frame[..., row.start : row.start + tile, column.start : column.start + tile]
            output = network.run(_as_traced(part, network))
            kept = output[
                ...,
                (row.keep_start - row.start) * scale : (row.keep_end - row.start) * scale,
                (column.keep_start - column.start) * scale : (column.keep_end - column.start) * scale,
            ]
            result[..., row.keep_start * scale : row.keep_end * scale,
                   column.keep_start * scale : column.keep_end * scale] = kept  # fmt: skip
    return result


def _approximate(network: Network) -> Tiling:
    """One run of a tile tells the difference at every halo: the deeper inside, the smaller it is."""
    tile, side = _probe_sides(network)
    frame = test_picture(network, side, side)
    whole = network.run(frame)
    multiple = network.size.multiple
    starts = {0, (side - tile) // 2 // multiple * multiple, side - tile}
    halos = [h for h in HALOS if 2 * h + multiple <= tile]
    difference = dict.fromkeys(halos, 0.0)
    scale = network.scale
    for start in sorted(starts):
        part = frame[..., start : start + tile, start : start + tile]
        output = network.run(_as_traced(part, network))
        reference = whole[..., start * scale : (start + tile) * scale, start * scale : (start + tile) * scale]
        gap = (output - reference).abs()[0].amax(dim=0)
        for halo in halos:
            first = 0 if start == 0 else halo * scale
            last = tile * scale if start + tile == side else (tile - halo) * scale
            difference[halo] = max(difference[halo], gap[first:last, first:last].max().item())
    for halo in halos:
        # Not "at most" alone: with a NaN no comparison holds.
        if difference[halo] <= APPROXIMATE_DIFFERENCE_MAX:
            return Tiling("approximate", halo, difference[halo])
    return Tiling("whole")
