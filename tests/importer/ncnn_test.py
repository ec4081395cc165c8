"""Pairs of ncnn files: what is read is what was written, and anything else is refused."""

import os
import struct
import unittest

import numpy
import torch
from case import ImportCase  # first: it says where the others are

import make_fixtures
from kiln_import import ncnn_pair
from kiln_import.checkpoint import read_checkpoint


class PairWriter:
    """Writes a network as ncnn's converter does."""

    def __init__(self):
        self.lines: list[str] = []
        self.data = b""
        self.blobs = 0
        self.layer("Input", 0, 1)

    def layer(self, kind: str, inputs: int, outputs: int, options: str = "") -> None:
        names = [f"b{self.blobs}"] * inputs + [f"b{self.blobs + 1 + i}" for i in range(outputs)]
        self.blobs += outputs
        self.lines.append(" ".join([kind, f"{kind}_{len(self.lines)}", str(inputs), str(outputs), *names, options]))

    def convolution(self, weight: torch.Tensor, bias: torch.Tensor, tag: int) -> None:
        self.layer("Convolution", 1, 1, f"0={weight.shape[0]} 1=3 4=1 5=1 6={weight.numel()}")
        dtype = numpy.float16 if tag == ncnn_pair.FLOAT16_TAG else numpy.float32
        values = weight.numpy().astype(dtype).tobytes()
        self.data += struct.pack("<I", tag) + values + b"\0" * (-len(values) % 4)
        self.data += bias.numpy().astype("<f4").tobytes()

    def slopes(self, weight: torch.Tensor) -> None:
        self.layer("PReLU", 1, 1, f"0={weight.numel()}")
        self.data += weight.numpy().astype("<f4").tobytes()

    def save(self, stem: str, tail: tuple[str, ...] = ()) -> str:
        lines = [*self.lines, *tail]
        with open(stem + ".param", "w") as file:
            file.write("\n".join([ncnn_pair.MAGIC, f"{len(lines)} {self.blobs}", *lines]) + "\n")
        with open(stem + ".bin", "wb") as file:
            file.write(self.data)
        return stem + ".param"


READ_HERE = ("compact network", "RRDBNet")
COMPACT_TAIL = (
    "PixelShuffle shuffle 1 1 b5 s 0=2",
    "Interp resize 1 1 b0 r 0=1 1=2.0 2=2.0",
    "BinaryOp add 2 1 s r out",
)


def compact_pair(stem: str, tag: int, tail: tuple[str, ...] = COMPACT_TAIL) -> tuple[str, dict]:
    generator = torch.Generator().manual_seed(2)
    tensors = {}
    writer = PairWriter()
    for index, (outputs, inputs) in enumerate(((5, 3), (5, 5), (12, 5))):
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator).half().float()
        bias = torch.randn(outputs, generator=generator)
        writer.convolution(weight, bias, tag)
        tensors[f"body.{2 * index}.weight"], tensors[f"body.{2 * index}.bias"] = weight, bias
        if index < 2:
            tensors[f"body.{2 * index + 1}.weight"] = torch.rand(5, generator=generator)
            writer.slopes(tensors[f"body.{2 * index + 1}.weight"])
    return writer.save(stem, tail), tensors


class NcnnPairTest(ImportCase):
    def test_compact_network_reads_back_in_both_precisions(self):
        for tag in (ncnn_pair.FLOAT16_TAG, ncnn_pair.FLOAT32_TAG):
            source, expected = compact_pair(self.path("net"), tag)
            for file in (source, source.replace(".param", ".bin")):
                read = read_checkpoint(file).tensors
                self.assertEqual(sorted(read), sorted(expected))
                self.assertTrue(all(torch.equal(read[k].float(), expected[k]) for k in expected))

    def test_missing_partner_is_named(self):
        source, _ = compact_pair(self.path("net"), 0)
        os.remove(self.path("net.bin"))
        self.assert_refused(source, 66, "net.bin")

    def test_too_few_and_too_many_weights_are_refused(self):
        source, _ = compact_pair(self.path("net"), 0)
        size = os.path.getsize(self.path("net.bin"))
        os.truncate(self.path("net.bin"), size - 8)
        self.assert_refused(source, 65, "cut short")
        os.truncate(self.path("net.bin"), size + 8)
        self.assert_refused(source, 65, "longer")

    def test_cut_layer_list_is_refused(self):
        source, _ = compact_pair(self.path("net"), 0)
        os.truncate(source, os.path.getsize(source) // 2)
        self.assert_refused(source, 65, "net.param")

    def test_quantised_weights_are_refused(self):
        source, _ = compact_pair(self.path("net"), 0x000D4B38)
        self.assert_refused(source, 65, "quantised")

    def test_resize_behind_the_network_is_refused_saying_what_to_do(self):
        tail = (*COMPACT_TAIL, "Interp half 1 1 out small 0=3 1=0.5 2=0.5")
        source, _ = compact_pair(self.path("net"), 0, tail)
        self.assert_refused(source, 65, "--scale")

    def test_another_order_of_layers_is_refused(self):
        source, _ = compact_pair(self.path("net"), 0, COMPACT_TAIL[::-1])
        self.assert_refused(source, 65, "order", *READ_HERE)

    def test_layers_of_another_network_are_refused_naming_what_is_read(self):
        tail = ("Deconvolution wider 1 1 b5 out 0=3 1=4 3=2 4=1 5=1 6=576",)
        source, _ = compact_pair(self.path("net"), 0, tail)
        self.assert_refused(source, 65, "Deconvolution", "wider", *READ_HERE)

    def test_convolutions_of_another_network_are_refused_naming_what_is_read(self):
        source, _ = compact_pair(self.path("net"), 0)
        with open(source) as file:
            text = file.read()
        with open(source, "w") as file:
            file.write(text.replace(" 4=1 ", " 4=0 "))  # without padding, as networks that crop have them
        self.assert_refused(source, 65, "Convolution_1", *READ_HERE)

    def test_network_without_slopes_is_refused_naming_what_is_read(self):
        writer = PairWriter()
        for outputs, inputs in ((5, 3), (3, 5)):
            writer.convolution(torch.ones(outputs, inputs, 3, 3), torch.ones(outputs), 0)
        self.assert_refused(writer.save(self.path("net")), 65, *READ_HERE)


class PublishedPairsTest(ImportCase):
    """The files that Real-ESRGAN publishes, out of the installed package that carries them."""

    def published(self, name: str) -> str:
        return os.path.join(os.path.dirname(make_fixtures.animevideo_file()), name)

    def test_networks_are_recognised(self):
        from kiln_import.upscaler import _recognise

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
