"""Packages of Wan models give what diffusers and transformers give: text states, stem, every block, head, every frame."""

import copy
import json
import os
import shutil
import subprocess
import unittest

from wan_case import WanCase  # first: it says where the others are

import torch
import wan_comfy_test
from safetensors.torch import load_file, save_file
from wan_models import BOUNDARY_RATIO, TRANSFORMER
from wan_package import Package

EXPERTS = ("transformer", "transformer_2")


class WanPackageTest(WanCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.package = cls.imported()
        cls.output = str(cls.package.folder)

    def test_text_states_are_those_of_the_whole_encoder(self):
        for batch, tokens, filled in ((1, 9, 9), (2, 16, 5), (1, 150, 40)):
            ids = torch.randint(0, 96, (batch, tokens), generator=torch.Generator().manual_seed(tokens))
            mask = torch.zeros(batch, tokens, dtype=torch.int64)
            mask[:, :filled] = 1
            with torch.no_grad():
                expected = self.wan.text_encoder(ids, mask).last_hidden_state
            (hidden,) = self.package.run("text_encoder", "text_embedding", ids)
            for index in range(self.package.components["text_block"]["repeat"]):
                (hidden,) = self.package.run("text_encoder", "text_block", hidden, mask, index=index)
            self.assert_same(self.package.run("text_encoder", "text_norm", hidden)[0], expected)

    def test_every_step_through_a_transformer_is_that_of_the_whole(self):
        for batch, frames, rows, columns, tokens in ((1, 1, 1, 2, 3), (2, 3, 4, 3, 9)):
            generator = torch.Generator().manual_seed(frames)
            latents = torch.randn(batch, 16, frames, 2 * rows, 2 * columns, generator=generator)
            text = torch.randn(batch, tokens, TRANSFORMER["text_dim"], generator=generator)
            timestep = torch.full((batch,), 737.0)
            for name, model in zip(EXPERTS, self.wan.transformers):
                self.check_transformer(name, model, latents, timestep, text, (frames, rows, columns))

    def check_transformer(self, name, model, latents, timestep, text, grid):
        seen = []
        hooks = [b.register_forward_hook(lambda _, given, given2, out: seen.append(out), with_kwargs=True) for b in model.blocks]
        first = model.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given))
        with torch.no_grad():
            expected = model(latents, timestep, text, return_dict=False)[0]
        for hook in (*hooks, first):
            hook.remove()
        (stem, states, modulation, rotary), outputs = seen[0], seen[1:]
        hidden, *rest = self.package.run(name, "stem", latents, timestep, text)
        for found, given in zip((hidden, rest[0], *rest[2:]), (stem, states, modulation, *rotary), strict=True):
            self.assert_same(found, given)
        for index, output in enumerate(outputs):
            (hidden,) = self.package.run(name, "block", hidden, rest[0], *rest[2:], index=index)
            self.assert_same(hidden, output)
        (found,) = self.package.run(name, "head", hidden.unflatten(1, grid), rest[1])
        self.assert_same(found, expected)

    def test_every_decoded_frame_is_that_of_the_whole_decoder(self):
        latents = torch.randn(1, 16, 4, 3, 2, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            expected = self.wan.vae.decode(latents, return_dict=False)[0]
        frames = self.package.decode(latents)
        self.assertEqual([f.shape[2] for f in frames], [1, 4, 4, 4])
        self.assertLess((expected.abs() == 1).float().mean().item(), 0.5)  # not only what was clamped
        self.assertGreater(torch.cat(frames, 2).abs().max().item(), 1)  # clamped by whoever joins them
        self.assert_same(torch.cat(frames, 2).clamp(-1, 1), expected)

    def test_experts_and_all_blocks_have_one_graph(self):
        graphs = [g["component"] for g in self.package.manifest["graph"]]
        self.assertEqual(sorted(graphs), sorted(self.package.components))
        for component, repeat in (("block", TRANSFORMER["num_layers"]), ("text_block", 2), ("stem", 1)):
            self.assertEqual(self.package.components[component]["repeat"], repeat)
        places = {(weights, index) for weights, component, index, _ in self.package.tensors if component == "block"}
        self.assertEqual(places, {(expert, index) for expert in EXPERTS for index in range(2)})
        self.assertEqual(self.package.manifest["boundary_ratio"], BOUNDARY_RATIO)

    def test_weights_are_linked_and_copied_on_request(self):
        for file in self.package.manifest["file"]:
            path = os.path.join(self.output, file["file"])
            self.assertEqual(os.stat(path).st_size, file["bytes"])
            if "tables" not in path:
                self.assertGreater(os.stat(path).st_nlink, 1)
        output = self.path("copy")
        code, _, err = self.run_import("diffusers", self.source, "-o", output, "--dtype", "float32", "--copy")
        self.assertEqual(code, 0, err)
        for file in Package(output).manifest["file"]:
            self.assertEqual(os.lstat(os.path.join(output, file["file"])).st_nlink, 1)
        for name in ("manifest.toml", *(g["file"] for g in self.package.manifest["graph"])):
            with open(os.path.join(output, name), "rb") as copy, open(os.path.join(self.output, name), "rb") as first:
                self.assertEqual(copy.read(), first.read(), name)

    def test_kiln_reads_it_and_sees_what_was_changed(self):
        program = os.path.join(os.environ["KILN_BINARY_DIR"], "tests", "check_generator")
        done = subprocess.run([program, self.output], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"{len(self.package.manifest['graph'])} graphs, {len(self.package.tensors)} tensors\n")
        with open(os.path.join(self.output, "manifest.toml"), encoding="utf-8") as file:
            text = file.read()
        for change, words in (
            (('"cosines", "sines"]\noutputs', '"cosines"]\noutputs'), "inputs"),
            (("shape = [256, 32]", "shape = [32, 256]"), "shape"),
            (("bytes = ", "bytes = 1"), "the manifest says"),
            (('part = "vae"', 'part = "transformer"'), "tensor"),
        ):
            self.assertIn(change[0], text)
            copy = self.path("copy")
            shutil.copytree(self.output, copy, dirs_exist_ok=True)
            with open(os.path.join(copy, "manifest.toml"), "w", encoding="utf-8") as file:
                file.write(text.replace(*change, 1))
            done = subprocess.run([program, copy], capture_output=True, text=True)
            self.assertEqual(done.returncode, 65, words)
            self.assertIn(words, done.stderr)

    def test_settings_for_the_pipeline_are_in_the_manifest(self):
        manifest = self.package.manifest
        self.assertEqual(manifest["scheduler"], {"kind": "unipc", "shift": 3.0})
        self.assertEqual(manifest["latents"]["std"], list(self.wan.vae.config.latents_std))
        self.assertEqual((manifest["latents"]["stride_time"], manifest["latents"]["stride_space"]), (4, 8))
        with open(os.path.join(self.output, manifest["tokenizer"]["file"]), "rb") as file:
            self.assertEqual(file.read(), self.wan.tokenizer)


class WanPrecisionTest(WanCase):
    def test_what_diffusers_keeps_in_float32_stays_so(self):
        from kiln_import import graph_file
        from kiln_import.wan.configs import TransformerConfig
        from kiln_import.wan.parts import transformer_components
        from kiln_import.wan.trace_graph import make_graph

        model = copy.deepcopy(self.wan.transformers[0])
        kept = set(type(model)._keep_in_fp32_modules)
        for name, parameter in model.named_parameters():  # as it loads them
            parameter.data = parameter.data.to(torch.float32 if kept & set(name.split(".")) else torch.bfloat16)
        config = TransformerConfig(**{k: v for k, v in TRANSFORMER.items() if k != "qk_norm"})
        block = transformer_components(config)[1]
        parameters = dict(model.blocks[1].named_parameters())
        self.assertEqual({p.name for p in block.parameters() if p.high_precision},
                         {name for name, value in parameters.items() if value.dtype == torch.float32})  # fmt: skip
        program = graph_file.read_program(make_graph(block, "bfloat16").data)
        generator = torch.Generator().manual_seed(1)
        hidden, text, modulation = (torch.randn(1, *shape, generator=generator).bfloat16() for shape in ((10, 256), (4, 256), (6, 256)))
        angles = torch.rand(1, 10, 1, 64, generator=generator).repeat_interleave(2, -1)
        with torch.no_grad():
            expected = model.blocks[1](hidden, text, modulation, (angles.cos(), angles.sin()))
            (found,) = program.graph_module(hidden, text, modulation, angles.cos(), angles.sin(),
                                            *(parameters[p.name] for p in block.parameters()))  # fmt: skip
        self.assert_same(found, expected)


class WanRefusalTest(WanCase):
    def broken(self) -> str:
        folder = self.path("broken")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.source, folder)
        return folder

    def check(self, folder: str, exit_code: int, *words: str) -> None:
        self.assert_refused(folder, exit_code, *words, kind="diffusers")

    def edit(self, name: str, **fields) -> str:
        folder = self.broken()
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        document.update(fields)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        return folder

    def test_missing_parts_are_named(self):
        self.check(self.path("nowhere"), 66, "no such folder")
        shards = sorted(f for f in os.listdir(os.path.join(self.source, "transformer_2")) if f.endswith(".safetensors"))
        self.assertGreater(len(shards), 1)
        for name, words in ((f"transformer_2/{shards[1]}", (shards[1], "shard", "2 of")), ("vae/config.json", ("vae/config.json",)),
                            ("text_encoder/model.safetensors", ("model.safetensors",)),
                            ("tokenizer/spiece.model", ("spiece.model",)), ("model_index.json", ("model_index.json",))):  # fmt: skip
            folder = self.broken()
            os.remove(os.path.join(folder, name))
            self.check(folder, 66, *words)

    def test_damaged_files_are_refused(self):
        for name in ("vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
            for keep in (-1, 100, 4):
                folder = self.broken()
                with open(os.path.join(folder, name), "r+b") as file:
                    file.truncate(os.path.getsize(file.name) - 1 if keep < 0 else keep)
                self.check(folder, 65, name, "cut short")
        folder = self.broken()
        with open(os.path.join(folder, "tokenizer/spiece.model"), "wb") as file:
            file.write(b"no tokenizer")
        self.check(folder, 65, "spiece.model", "no tokenizer")

    def test_tensors_that_do_not_fit_are_named(self):
        name = "decoder.conv_in.weight"
        changes = {
            "has the shape [3, 16, 3, 3, 2]": lambda t: t.update({name: t[name][..., :2].contiguous()}),
            "is of type int64": lambda t: t.update({name: t[name].long()}),
            "is missing": lambda t: t.pop(name),
            "has no place": lambda t: t.update({f"{name}.lora": torch.zeros(1)}),
        }
        for words, change in changes.items():
            folder = self.broken()
            path = os.path.join(folder, "vae/diffusion_pytorch_model.safetensors")
            tensors = load_file(path)
            change(tensors)
            save_file(tensors, path)
            self.check(folder, 65, name, words)

    def test_weights_that_are_no_numbers_are_named(self):
        for name, bad in (("decoder.conv_in.weight", float("nan")), ("decoder.norm_out.gamma", float("-inf"))):
            folder = self.broken()
            path = os.path.join(folder, "vae/diffusion_pytorch_model.safetensors")
            tensors = load_file(path)
            tensors[name].view(-1)[-1] = bad
            save_file(tensors, path)
            self.check(folder, 65, "vae/diffusion_pytorch_model.safetensors", name, "NaN or infinite")

    def test_unknown_settings_are_refused(self):
        rows = (
            ("transformer/config.json", {"sliding_window": 7}, ("unknown field sliding_window", "Known are")),
            ("transformer/config.json", {"ffn_dim": 33}, ("two experts differ",)),
            ("text_encoder/config.json", {"d_ff": 50}, ("wi_0.weight", "[48, 32]", "[50, 32]")),
            ("transformer/config.json", {"num_layers": "two"}, ("num_layers", "'two'")),
            ("transformer/config.json", {"qk_norm": "layer_norm"}, ("qk_norm", "rms_norm_across_heads")),
            ("vae/config.json", {"frame_mult": 2}, ("unknown field frame_mult",)),
            ("vae/config.json", {"latents_mean": [0.0]}, ("latents_mean", "16")),
            ("text_encoder/config.json", {"window": 3}, ("unknown field window",)),
            ("text_encoder/config.json", {"feed_forward_proj": "relu"}, ("feed_forward_proj", "gated-gelu")),
            ("scheduler/scheduler_config.json", {"solver_order": 3}, ("solver_order", "2")),
            ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, ("DDIMScheduler", "UniPCMultistepScheduler")),
            ("model_index.json", {"boundary_ratio": 2}, ("boundary_ratio",)),
            ("model_index.json", {"transformer": ["other", "Net"]}, ("WanTransformer3DModel",)),
        )
        for name, fields, words in rows:
            self.check(self.edit(name, **fields), 65, *words)

    def test_other_models_are_refused_with_those_known(self):
        known = ("Wan 2.1 T2V 1.3B", "Wan 2.1 T2V 14B", "Wan 2.2 T2V A14B")
        for name, fields in (("model_index.json", {"_class_name": "FluxPipeline"}), ("model_index.json", {"expand_timesteps": True}),
                             ("transformer/config.json", {"image_dim": 1280}), ("transformer/config.json", {"in_channels": 36}),
                             ("vae/config.json", {"is_residual": True})):  # fmt: skip
            self.check(self.edit(name, **fields), 65, *known)


def load_tests(loader, tests, _pattern):
    """In one process: a component is traced once in it, and that is most of the time."""
    tests.addTests(loader.loadTestsFromModule(wan_comfy_test))
    return tests


if __name__ == "__main__":
    unittest.main()
