"""Checkpoints that are refused: each with its exit code, and one line that says why."""

import os
import pickle
import unittest

import safetensors.torch
import torch
from case import ImportCase


class Malicious:
    """A pickle that runs a command when it is read."""

    def __init__(self, mark: str):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def compact_tensors(features: int = 4) -> dict:
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    return Compact(num_feat=features, num_conv=1, upscale=2).state_dict()


def small_face_tensors() -> dict:
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.manual_seed(0)
    return RestoreFormer(n_embed=4, embed_dim=32, ch=32, ch_mult=(1,), num_res_blocks=1, z_channels=32).state_dict()


def inpainting_tensors() -> dict:
    """The size of this network is fixed, so its weights are zero and of half precision."""
    from spandrel.architectures.LaMa import LaMa

    with torch.device("meta"):
        shapes = LaMa(in_nc=4, out_nc=3).state_dict()
    dtypes = {k: torch.float16 if v.is_floating_point() else v.dtype for k, v in shapes.items()}
    return {k: torch.zeros(v.shape, dtype=dtypes[k]) for k, v in shapes.items()}


class CheckpointTest(ImportCase):
    def save(self, name: str, tensors: object, **options) -> str:
        torch.save(tensors, self.path(name), **options)
        return self.path(name)

    def test_pickle_that_runs_code_is_refused_and_does_not_run(self):
        mark = self.path("ran")
        for zipped in (True, False):
            source = self.save("evil.pth", {"params": compact_tensors(), "x": Malicious(mark)},
                               _use_new_zipfile_serialization=zipped)  # fmt: skip
            self.assert_refused(source, 65, "untrusted", "system", source)
            self.assertFalse(os.path.exists(mark))

    def test_bare_pickle_that_runs_code_is_refused_and_does_not_run(self):
        mark = self.path("ran")
        with open(self.path("evil.ckpt"), "wb") as file:
            pickle.dump(Malicious(mark), file)
        self.assert_refused(self.path("evil.ckpt"), 65)
        self.assertFalse(os.path.exists(mark))

    def test_script_archive_is_refused(self):
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), self.path("script.pt"))
        self.assert_refused(self.path("script.pt"), 65, "TorchScript")

    def test_truncated_files_are_refused(self):
        safetensors.torch.save_file(compact_tensors(), self.path("cut.safetensors"))
        self.save("cut.pth", compact_tensors())
        self.save("old.pth", compact_tensors(), _use_new_zipfile_serialization=False)
        for name in ("cut.safetensors", "cut.pth", "old.pth"):
            os.truncate(self.path(name), os.path.getsize(self.path(name)) * 2 // 3)
            self.assert_refused(self.path(name), 65, name)

    def test_empty_missing_folder_and_foreign_files_are_refused(self):
        open(self.path("empty.pth"), "w").close()
        with open(self.path("text.pth"), "w") as file:
            file.write("not a checkpoint, whatever its name says")
        self.assert_refused(self.path("empty.pth"), 65, "empty")
        self.assert_refused(self.path("text.pth"), 65)
        self.assert_refused(self.path("missing.pth"), 66, "no such file")
        self.assert_refused(self.folder, 65, "folder")
        with open(self.path("model.onnx"), "w") as file:
            file.write("x")
        self.assert_refused(self.path("model.onnx"), 65, ".safetensors")

    def test_values_that_are_not_numbers_are_refused_naming_the_tensor(self):
        for value in (float("nan"), float("inf")):
            tensors = compact_tensors()
            tensors["body.0.bias"][1] = value
            self.assert_refused(self.save("nan.pth", tensors), 65, "body.0.bias", "NaN")

    def test_unknown_network_is_refused(self):
        self.assert_refused(self.save("own.pth", {"layer.weight": torch.ones(3, 3)}), 65, "no known architecture")
        self.assert_refused(self.save("list.pth", [torch.ones(3)]), 65, "named tensors")

    def test_known_network_with_parts_missing_is_refused(self):
        tensors = compact_tensors()
        del tensors["body.2.bias"]
        self.assert_refused(self.save("part.pth", tensors), 65, "missing or do not fit")

    def test_other_channels_are_refused(self):
        from spandrel.architectures.Compact import Compact

        tensors = Compact(num_in_ch=1, num_out_ch=1, num_feat=4, num_conv=1, upscale=2).state_dict()
        self.assert_refused(self.save("grey.pth", tensors), 65, "channels")

    def test_network_that_rewrites_its_weights_is_refused(self):
        from spandrel.architectures.SPAN import SPAN

        tensors = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2).state_dict()
        self.assert_refused(self.save("span.pth", tensors), 65, "SPAN", "rewrites its own weights")

    def test_face_restoration_is_refused_naming_it(self):
        self.assert_refused(self.save("face.pth", small_face_tensors()), 65, "RestoreFormer", "face restoration")

    def test_inpainting_is_refused_naming_it(self):
        self.assert_refused(self.save("hole.pth", inpainting_tensors()), 65, "LaMa", "inpainting")

    def test_wrappers_and_prefixes_of_training_programs_are_read(self):
        from kiln_import.checkpoint import read_checkpoint

        plain = compact_tensors()
        wrapped = {"params_ema": {f"module.{k}": v for k, v in plain.items()}, "iteration": 7}
        read = read_checkpoint(self.save("wrapped.pth", wrapped)).tensors
        self.assertEqual(sorted(read), sorted(plain))
        self.assertTrue(all(torch.equal(read[k], plain[k]) for k in plain))


if __name__ == "__main__":
    unittest.main()
