"""Pairs of ncnn files: what is read is what was written, and anything else is refused."""

import os
import unittest

import torch
from case import ImportCase  # first: it says where the others are

import make_fixtures
from kiln_import.checkpoint import read_checkpoint
from kiln_import.upscaler import _recognise
from pair_writer import FLOAT16, FLOAT32, MAGIC, QUANTISED, PairWriter, RealCuganWriter

READ_HERE = ("compact network", "RRDBNet", "RealCUGAN")
COMPACT_TAIL = (
    "PixelShuffle shuffle 1 1 b5 s 0=2",
    "Interp resize 1 1 b0 r 0=1 1=2.0 2=2.0",
    "BinaryOp add 2 1 s r out",
)


def compact_pair(stem: str, tag: int, tail: tuple[str, ...] = COMPACT_TAIL) -> tuple[str, dict]:
    generator = torch.Generator().manual_seed(2)
    tensors = {}
    writer = PairWriter(tag)
    for index, (outputs, inputs) in enumerate(((5, 3), (5, 5), (12, 5))):
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator).half().float()
        bias = torch.randn(outputs, generator=generator)
        writer.same_size_convolution(weight, bias)
        tensors[f"body.{2 * index}.weight"], tensors[f"body.{2 * index}.bias"] = weight, bias
        if index < 2:
            tensors[f"body.{2 * index + 1}.weight"] = torch.rand(5, generator=generator)
            writer.slopes(tensors[f"body.{2 * index + 1}.weight"])
    return writer.save(stem, tail), tensors


class NcnnPairTest(ImportCase):
    def test_compact_network_reads_back_in_both_precisions(self):
        for tag in (FLOAT16, FLOAT32):
            source, expected = compact_pair(self.path("net"), tag)
            for file in (source, source.replace(".param", ".bin")):
                read = read_checkpoint(file).tensors
                self.assertEqual(sorted(read), sorted(expected))
                self.assertTrue(all(torch.equal(read[k].float(), expected[k]) for k in expected))

    def test_missing_partner_is_named(self):
        source, _ = compact_pair(self.path("net"), FLOAT32)
        os.remove(self.path("net.bin"))
        self.assert_refused(source, 66, "net.bin")

    def test_too_few_and_too_many_weights_are_refused(self):
        source, _ = compact_pair(self.path("net"), FLOAT32)
        size = os.path.getsize(self.path("net.bin"))
        os.truncate(self.path("net.bin"), size - 8)
        self.assert_refused(source, 65, "cut short")
        os.truncate(self.path("net.bin"), size + 8)
        self.assert_refused(source, 65, "longer")

    def test_cut_layer_list_is_refused(self):
        source, _ = compact_pair(self.path("net"), FLOAT32)
        os.truncate(source, os.path.getsize(source) // 2)
        self.assert_refused(source, 65, "net.param")
        with open(source, "w") as file:
            file.write(f"{MAGIC}\n0 0\n")
        self.assert_refused(source, 65, "net.param")

    def test_quantised_weights_are_refused(self):
        source, _ = compact_pair(self.path("net"), QUANTISED)
        self.assert_refused(source, 65, "quantised")

    def test_resize_behind_the_network_is_refused_saying_what_to_do(self):
        tail = (*COMPACT_TAIL, "Interp half 1 1 out small 0=3 1=0.5 2=0.5")
        source, _ = compact_pair(self.path("net"), FLOAT32, tail)
        self.assert_refused(source, 65, "--scale")

    def test_another_order_of_layers_is_refused(self):
        source, _ = compact_pair(self.path("net"), FLOAT32, COMPACT_TAIL[::-1])
        self.assert_refused(source, 65, "order", *READ_HERE)

    def test_layers_of_another_network_are_refused_naming_what_is_read(self):
        tail = ("Deconvolution wider 1 1 b5 out 0=3 1=4 3=2 4=1 5=1 6=576",)
        source, _ = compact_pair(self.path("net"), FLOAT32, tail)
        self.assert_refused(source, 65, "Deconvolution", "wider", *READ_HERE)

    def test_convolutions_of_another_network_are_refused_naming_what_is_read(self):
        source, _ = compact_pair(self.path("net"), FLOAT32)
        with open(source) as file:
            text = file.read()
        with open(source, "w") as file:
            file.write(text.replace(" 4=1 ", " 4=0 "))  # without padding, as networks that crop have them
        self.assert_refused(source, 65, "Convolution_1", *READ_HERE)
        with open(source, "w") as file:
            file.write(text.replace(" 4=1 ", " 3=2 4=1 "))  # with steps
        self.assert_refused(source, 65, "Convolution_1", *READ_HERE)

    def test_network_without_slopes_is_refused_naming_what_is_read(self):
        writer = PairWriter()
        for outputs, inputs in ((5, 3), (3, 5)):
            writer.same_size_convolution(torch.ones(outputs, inputs, 3, 3), torch.ones(outputs))
        self.assert_refused(writer.save(self.path("net")), 65, *READ_HERE)


def realcugan(scale: int) -> dict[str, torch.Tensor]:
    from spandrel.architectures.RealCUGAN import UpCunet2x, UpCunet3x, UpCunet4x

    torch.manual_seed(scale)
    tensors = {2: UpCunet2x, 3: UpCunet3x, 4: UpCunet4x}[scale]().state_dict()
    return {name: tensor.half().float() for name, tensor in tensors.items()}  # so that half precision holds them


class RealCuganPairTest(ImportCase):
    def pair(self, change) -> str:
        """A x2 pair whose layers, a line each, were changed."""
        source = self.path("net.param")
        if not os.path.exists(source):
            self.layers = RealCuganWriter(realcugan(2))
            self.layers.save(self.path("net"))
        lines = change(list(self.layers.lines))
        with open(source, "w") as file:
            file.write("\n".join([MAGIC, f"{len(lines)} {self.layers.blobs}", *lines]) + "\n")
        return source

    def test_reads_back_and_is_recognised_at_every_scale_and_in_both_precisions(self):
        for scale, tag in ((2, FLOAT16), (2, FLOAT32), (3, FLOAT16), (4, FLOAT16)):
            expected = realcugan(scale)
            checkpoint = read_checkpoint(RealCuganWriter(expected, tag).save(self.path("net")))
            self.assertEqual(sorted(checkpoint.tensors), sorted(expected))
            self.assertTrue(all(torch.equal(checkpoint.tensors[k].float(), expected[k]) for k in expected))
            found = _recognise(checkpoint)
            self.assertEqual((found.architecture.id, found.scale, found.tags), ("RealCUGAN", scale, []))

    def test_missing_and_added_layers_are_refused(self):
        for at in range(1, 55):
            self.assert_refused(self.pair(lambda lines: lines[:at] + lines[at + 1 :]), 65, "net.param")
        self.assert_refused(self.pair(lambda lines: [*lines, lines[-1]]), 65, "RealCUGAN x2", *READ_HERE)

    def test_another_order_of_layers_is_refused_naming_the_layer(self):
        def swapped(lines: list[str]) -> list[str]:
            crop = next(at for at, line in enumerate(lines) if line.startswith("Crop"))
            return lines[:crop] + [lines[crop + 1], lines[crop]] + lines[crop + 2 :]

        self.assert_refused(self.pair(swapped), 65, "Deconvolution", "RealCUGAN x2", *READ_HERE)

    def test_other_options_and_other_inputs_are_refused_naming_the_layer(self):
        def changed(kind: str, old: str, new: str):
            return lambda lines: [line.replace(old, new) if line.startswith(kind) else line for line in lines]

        for kind, old, new in (
            ("Convolution", "1.000000e-01", "2.000000e-01"),
            ("Crop", "-4", "-3"),
            ("BinaryOp", "0=2", "0=0"),
            ("Pooling", "0=1", "0=0"),
            ("InnerProduct", "9=4", "9=1"),
            ("Deconvolution", "4=3", "4=x"),
        ):
            self.assert_refused(self.pair(changed(kind, old, new)), 65, kind, "RealCUGAN x2", *READ_HERE)
        self.assert_refused(self.pair(changed("BinaryOp", " b14 ", " b13 ")), 65, "BinaryOp", *READ_HERE)

    def test_network_without_weighing_of_channels_is_refused_saying_what_to_do(self):
        kept = ("Input", "Convolution", "Deconvolution", "Crop")
        source = self.pair(lambda lines: [line for line in lines if line.startswith(kept)])
        self.assert_refused(source, 65, "nose", "models-se")


class PublishedPairsTest(ImportCase):
    """The files that Real-ESRGAN publishes, out of the installed package that carries them."""

    def published(self, name: str) -> str:
        return os.path.join(os.path.dirname(make_fixtures.animevideo_file()), name)

    def test_networks_are_recognised(self):
        for name, architecture, tag in (
            ("realesr-animevideov3-x4.param", "Compact", "16nc"),
            ("realesrgan-x4plus.bin", "ESRGAN", "23nb"),
            ("realesrgan-x4plus-anime.param", "ESRGAN", "6nb"),
        ):
            found = _recognise(read_checkpoint(self.published(name)))
            self.assertEqual((found.architecture.id, found.scale), (architecture, 4))
            self.assertIn(tag, found.tags)

    def test_smaller_variants_are_refused_saying_what_to_do(self):
        for size in ("x2", "x3"):
            self.assert_refused(self.published(f"realesr-animevideov3-{size}.param"), 65, "--scale")


if __name__ == "__main__":
    unittest.main()
