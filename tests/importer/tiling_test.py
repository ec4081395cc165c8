"""Windows, and what the probe finds out about networks whose answer is known."""

import os
import unittest

from case import SOURCE, ImportCase  # first: it says where the others are

import torch
from kiln_import.network import Network, SizeRules, pad_by_reflection
from kiln_import.tile_layout import windows
from kiln_import.tiling_probe import APPROXIMATE_DIFFERENCE_MAX, probe, run_tiled, test_picture
from torch import nn


def network(module: nn.Module, scale: int = 1, **options) -> Network:
    torch.manual_seed(4)
    return Network(module.eval().requires_grad_(False), "module", "test", "test", scale, **options)


def convolutions(count: int, side: int = 3) -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(*(nn.Conv2d(3, 3, side, padding=side // 2) for _ in range(count)))


class Global(nn.Module):
    def __init__(self, part: float):
        super().__init__()
        self.part = part

    def forward(self, x):
        return x + self.part * (x * x).mean(dim=(2, 3), keepdim=True) * 4


class Windowed(nn.Module):
    """Every square of four pixels becomes its mean: exact where tiles start at multiples of four."""

    def forward(self, x):
        return nn.functional.interpolate(nn.functional.avg_pool2d(x, 4), scale_factor=4.0) + x


class FarAndWeak(nn.Module):
    """Looks 40 pixels to each side, with a weight that hardly matters."""

    def forward(self, x):
        return x + 1e-4 * (torch.roll(x, 40, 3) + torch.roll(x, -40, 3))


class LayoutTest(unittest.TestCase):
    def test_every_pixel_is_kept_once_and_far_from_inner_edges(self):
        for length, size, halo, multiple in ((100, 32, 5, 1), (96, 32, 4, 8), (33, 32, 8, 1), (200, 64, 20, 4), (64, 64, 9, 1)):
            found = windows(length, size, halo, multiple)
            self.assertEqual((found[0].start, found[-1].start), (0, length - size))
            self.assertEqual([w.keep_start for w in found][1:], [w.keep_end for w in found][:-1])
            self.assertEqual((found[0].keep_start, found[-1].keep_end), (0, length))
            for window in found:
                self.assertEqual(window.start % multiple, 0)
                self.assertTrue(window.start == 0 or window.keep_start - window.start >= halo)
                end = window.start + size
                self.assertTrue(end == length or end - window.keep_end >= halo)

    def test_layout_is_the_planners(self):
        with open(SOURCE / "tests" / "golden" / "tile_axes.txt") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        self.assertGreater(len(rows), 5)
        for length, size, halo, multiple, *expected in rows:
            found = windows(int(length), int(size), int(halo), int(multiple))
            self.assertEqual([f"{w.start}:{w.keep_start}-{w.keep_end}" for w in found], expected)

    def test_tile_smaller_than_its_halos_is_an_error(self):
        with self.assertRaises(ValueError):
            windows(100, 16, 8)


class ProbeTest(ImportCase):
    def test_convolutions_are_exact_with_their_radius(self):
        for count, side, halo in ((1, 3, 1), (4, 3, 4), (3, 7, 9), (1, 1, 0)):
            self.assertEqual(probe(network(convolutions(count, side))).__dict__,
                             {"kind": "exact", "halo": halo, "difference": 0.0})  # fmt: skip

    def test_weights_of_zero_still_count(self):
        module = convolutions(2)
        module[0].weight.data[..., 0] = 0
        self.assertEqual(probe(network(module)).halo, 2)

    def test_weak_far_influence_is_found(self):
        found = probe(network(FarAndWeak()))
        self.assertNotEqual((found.kind, found.halo < 40), ("exact", True))

    def test_exact_halo_gives_the_untiled_frame_and_one_less_does_not(self):
        tested = network(convolutions(4))
        frame = test_picture(tested, 96, 80)
        whole = tested.run(frame)
        self.assertLessEqual((run_tiled(tested, frame, 40, 4) - whole).abs().max().item(), 1e-5)
        self.assertGreater((run_tiled(tested, frame, 40, 3) - whole).abs().max().item(), 1e-5)

    def test_tiles_line_up_with_windows(self):
        self.assertEqual(probe(network(Windowed(), size=SizeRules(4, 4))).kind, "exact")

    def test_small_global_influence_is_approximate_with_the_figure(self):
        found = probe(network(Global(0.01)))
        self.assertEqual(found.kind, "approximate")
        self.assertGreater(found.difference, 0)
        self.assertLessEqual(found.difference, APPROXIMATE_DIFFERENCE_MAX)

    def test_large_global_influence_square_inputs_and_declarations_mean_whole(self):
        self.assertEqual(probe(network(Global(1.0))).kind, "whole")
        self.assertEqual(probe(network(convolutions(1), may_tile=False)).kind, "whole")
        self.assertEqual(probe(network(convolutions(1), size=SizeRules(1, 1, True))).kind, "whole")

    def test_radius_beyond_the_limit_is_not_exact(self):
        torch.manual_seed(4)
        wide = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=16, dilation=16) for _ in range(5)))
        self.assertNotEqual(probe(network(wide)).kind, "exact")


class PaddingTest(unittest.TestCase):
    def test_padding_is_torchs_reflection_and_goes_on_beyond_it(self):
        x = torch.arange(30.0).view(1, 1, 5, 6)
        self.assertTrue(torch.equal(pad_by_reflection(x, 9, 11), nn.functional.pad(x, (0, 5, 0, 4), "reflect")))
        line = pad_by_reflection(torch.tensor([[[[0.0, 1.0, 2.0]]]]), 3, 9)[0, 0, 0]
        self.assertEqual(line.tolist(), [0, 1, 2, 1, 0, 1, 2, 1, 0])

    def test_size_rules_round_up(self):
        self.assertEqual(SizeRules(8, 16).padded(3, 17), (16, 24))
        self.assertEqual(SizeRules(1, 1, True).padded(5, 9), (9, 9))


if __name__ == "__main__":
    unittest.main()
