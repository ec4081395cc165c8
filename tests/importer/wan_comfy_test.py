"""Run by wan_test.py. The same model in single files, as ComfyUI's users have them, becomes the same package with the same results."""

import os

from wan_case import WanCase  # first: it says where the others are

import torch
from safetensors.torch import save_file
from wan_original_names import original_text, original_transformer, original_vae
from wan_package import Package

FP8 = torch.float8_e4m3fn


class WanComfyTest(WanCase):
    def write(self, name: str, tensors: dict) -> str:
        path = self.path(name)
        save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, path)
        return path

    def transformer(self, index: int, prefix: str = "") -> dict:
        state = self.wan.transformers[index].state_dict()
        return {prefix + original_transformer(name): value for name, value in state.items()}

    def files(self, **changed) -> list[str]:
        """Arguments of a model that holds, but for what is changed; None leaves an argument out."""
        text = {original_text(name): value for name, value in self.wan.text_encoder.state_dict().items() if "embed_tokens" not in name}
        tensors = {
            "high": self.transformer(0, "model.diffusion_model."), "low": self.transformer(1),
            "text": {**text, "spiece_model": torch.frombuffer(bytearray(self.wan.tokenizer), dtype=torch.uint8)},
            "vae": {original_vae(name, 1): value for name, value in self.wan.vae.state_dict().items()},
        } | changed  # fmt: skip
        flags = {"high": [], "low": ["--low-noise"], "text": ["--text-encoder"], "vae": ["--vae"]}
        return [part for name, value in tensors.items() if value is not None
                for part in (*flags[name], self.write(f"{name}.safetensors", value))]  # fmt: skip

    def run_comfy(self, *arguments: str) -> Package:
        output = self.path("package")
        code, _, err = self.run_import("comfy", *arguments, "-o", output, "--dtype", "float32")
        self.assertEqual(code, 0, err)
        return Package(output)

    def assert_comfy_refused(self, exit_code: int, *words: str, **changed) -> None:
        arguments = self.files(**changed)
        before = sorted(os.listdir(self.folder))
        code, _, err = self.run_import("comfy", *arguments, "-o", self.path("package"), "--dtype", "float32")
        self.assertEqual(code, exit_code, err)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        for word in words:
            self.assertIn(word, err)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_single_files_give_the_package_of_the_folder(self):
        folder, single = self.imported(), self.run_comfy(*self.files())
        for key in ("component", "parameter", "graph", "text", "transformer", "latents", "boundary_ratio", "tokenizer", "architecture"):
            self.assertEqual(single.manifest[key], folder.manifest[key], key)
        self.assertEqual(single.tensors.keys(), folder.tensors.keys())
        for place in folder.tensors:
            self.assertTrue(torch.equal(single.tensor(*place), folder.tensor(*place)), place)
        latents = torch.randn(1, 16, 2, 2, 2, generator=torch.Generator().manual_seed(3))
        for found, expected in zip(single.decode(latents), folder.decode(latents), strict=True):
            self.assertTrue(torch.equal(found, expected))

    def test_names_are_those_that_diffusers_converts(self):
        from diffusers import AutoencoderKLWan
        from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
        from kiln_import.wan.comfy_names import transformer_name, vae_name

        names = {original_transformer(name): name for name in self.wan.transformers[0].state_dict()}
        self.assertEqual(convert_wan_transformer_to_diffusers({theirs: theirs for theirs in names}),
                         {ours: theirs for theirs, ours in names.items()})  # fmt: skip
        self.assertEqual({theirs: transformer_name(theirs) for theirs in names}, names)
        with torch.device("meta"):
            vae = AutoencoderKLWan(base_dim=4)
        names = {original_vae(name, 2): name for name in vae.state_dict() if not name.startswith("encoder.")}
        self.assertEqual(convert_wan_vae_to_diffusers({theirs: theirs for theirs in names}),
                         {ours: theirs for theirs, ours in names.items()})  # fmt: skip
        self.assertEqual({theirs: vae_name(theirs, 2) for theirs in names}, names)

    def test_half_precision_and_scaled_float8_are_taken_as_they_are(self):
        scaled = {}
        for name, value in self.transformer(0, "model.diffusion_model.").items():
            if name.endswith(("ffn.0.weight", "self_attn.q.weight")):
                scale = value.abs().max() / 448
                scaled |= {name: (value / scale).to(FP8), name.replace(".weight", ".scale_weight"): scale.reshape(1)}
            else:
                scaled[name] = value.half()
        scaled["model.diffusion_model.scaled_fp8"] = torch.zeros(2, dtype=FP8)
        low = {name: value.bfloat16() for name, value in self.transformer(1).items()}
        # transformers' own names, as the text encoders that ComfyUI's authors offer have them.
        text = {name: value.half() for name, value in self.wan.text_encoder.state_dict().items() if "embed_tokens" not in name}
        with open(self.path("spiece.model"), "wb") as file:
            file.write(self.wan.tokenizer)
        arguments = self.files(high=scaled, low=low, text=text)
        package = self.run_comfy(*arguments, "--tokenizer", self.path("spiece.model"), "--boundary-ratio", "0.9")
        self.assertEqual(package.manifest["boundary_ratio"], 0.9)
        self.assertEqual(package.manifest["scheduler"], {"kind": "unipc", "shift": 12.0})
        for (weights, component, index, parameter), entry in package.tensors.items():
            if weights == "transformer" and component == "block" and parameter == "ffn.net.0.proj.weight":
                expected = self.wan.transformers[0].blocks[index].ffn.net[0].proj.weight
                found = package.tensor(weights, component, index, parameter)
                self.assertEqual(entry["dtype"], "float8_e4m3fn")
                self.assertLess((found - expected).abs().max().item(), expected.abs().max().item() / 15)
                self.assertGreater((found - expected).abs().max().item(), 0)
            elif weights == "transformer_2" and component == "block":
                expected = self.wan.transformers[1].blocks[index].get_parameter(parameter)
                self.assertTrue(torch.equal(package.tensor(weights, component, index, parameter), expected.bfloat16()))

    def test_what_is_no_such_model_is_refused(self):
        known = ("Wan 2.1 T2V 1.3B", "Wan 2.2 T2V A14B")
        high = self.transformer(0)
        wide = {**high, "patch_embedding.weight": torch.zeros(256, 36, 1, 2, 2)}
        self.assert_comfy_refused(65, "picture", *known, high={**high, "img_emb.proj.0.weight": torch.zeros(2)})
        self.assert_comfy_refused(65, "VACE", *known, high={**high, "vace_blocks.0.w": torch.zeros(2)})
        self.assert_comfy_refused(65, "36 channels", *known, high=wide)
        self.assert_comfy_refused(65, "names", *known, high={"double_blocks.0.w": torch.zeros(2)})
        self.assert_comfy_refused(65, "no UMT5", text={"text_model.w": torch.zeros(2)})
        self.assert_comfy_refused(65, "no VAE of Wan 2.1", vae={"decoder.conv.weight": torch.zeros(2)})
        text = {name: value for name, value in self.wan.text_encoder.state_dict().items() if "embed_tokens" not in name}
        self.assert_comfy_refused(66, "--tokenizer", text=text)

    def test_what_is_wrong_in_a_file_is_named(self):
        high = self.transformer(0)
        name = "blocks.1.cross_attn.k.weight"
        self.assert_comfy_refused(65, name, "high.safetensors", high={k: v for k, v in high.items() if k != name} | {
            name.replace(".weight", ".scale_weight"): torch.ones(1)})  # fmt: skip
        self.assert_comfy_refused(65, name, "[256, 256]", high={**high, name: torch.zeros(256, 8)})
        self.assert_comfy_refused(65, name, "int32", high={**high, name: torch.zeros(256, 256, dtype=torch.int32)})
        self.assert_comfy_refused(65, "scale_weight", "one number", high={**high, name.replace(".weight", ".scale_weight"): torch.ones(9)})
        self.assert_comfy_refused(65, "no place", high={**high, "blocks.0.lora.weight": torch.zeros(2)})
        self.assert_comfy_refused(65, "another architecture", low={k: v[:16] if "ffn.0" in k else v for k, v in high.items()})
