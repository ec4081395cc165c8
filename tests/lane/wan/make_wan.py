"""What WanPipeline makes of tiny models with seeded weights, and the packages of those models.

python tests/lane/wan/make_wan.py --out DIR

DIR/wan21, DIR/wan22      packages: one transformer, two
DIR/cases.json            what each case is
DIR/tensors.safetensors   its numbers, under CASE/NAME
DIR appears when it is complete; whoever asks for it at the same time waits."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "importer"), str(ROOT / "tests" / "lane"),
                str(ROOT / "tests" / "lane" / "text")]

import safetensors.torch  # noqa: E402
import sentencepiece  # noqa: E402
import torch  # noqa: E402
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline  # noqa: E402
from kiln_import.wan.diffusers_folder import read_folder  # noqa: E402
from kiln_import.wan.package import write_wan_package  # noqa: E402
from kiln_import.wan.parts import components_of  # noqa: E402
from kiln_import.wan.sources import tensor_table  # noqa: E402
from kiln_import.wan.trace_graph import make_graph  # noqa: E402
from made_once import made_once  # noqa: E402
from make_golden import t5_tokenizer  # noqa: E402
from wan_models import BOUNDARY_RATIO, TinyWan  # noqa: E402

Tensors = dict[str, torch.Tensor]

SIZE = {"height": 48, "width": 80, "frames": 9}
TOKENS = 64  # of a prompt, padding included
TILES = {"size": 32, "stride": 24}
STEPS = 4
SHIFT = 3.0
PROMPTS = ("a red fox runs over the hill while it rains", "a blue dog runs over the lake", "", "the cat " * 40)
NEGATIVE = "a green cat"


@functools.cache
def tiny_wan(experts: int) -> TinyWan:
    return TinyWan(experts)


def scheduler_of(solver: str):
    if solver == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)


def pipeline_of(wan: TinyWan, solver: str) -> WanPipeline:
    tokenizer = t5_tokenizer(wan.tokenizer, sentencepiece.SentencePieceProcessor(model_proto=wan.tokenizer))
    two = len(wan.transformers) == 2
    pipeline = WanPipeline(
        tokenizer, wan.text_encoder, wan.vae, scheduler_of(solver), wan.transformers[0],
        wan.transformers[1] if two else None, BOUNDARY_RATIO if two else None,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def text_cases(tensors: Tensors) -> list[dict]:
    pipeline, cases = pipeline_of(tiny_wan(1), "unipc"), []
    for prompt, tokens in itertools.product(PROMPTS, (TOKENS, 512)):
        name = f"text-{len(cases)}"
        tensors[f"{name}/states"] = pipeline._get_t5_prompt_embeds(prompt, max_sequence_length=tokens)
        cases.append({"name": name, "package": "wan21", "prompt": prompt, "tokens": tokens})
    return cases


def transformer_cases(tensors: Tensors) -> list[dict]:
    """Every step through each transformer: what goes in, what the stem gives, each block, and what comes out."""
    cases = []
    for package, experts, index in (("wan21", 1, 0), ("wan22", 2, 0), ("wan22", 2, 1)):
        case = {"name": f"transformer-{len(cases)}", "package": package, "weights": ("transformer", "transformer_2")[index],
                "timestep": 737.0}  # fmt: skip
        run_transformer(case["name"], tiny_wan(experts).transformers[index], case["timestep"], tensors)
        cases.append(case)
    return cases


def run_transformer(name: str, model: torch.nn.Module, timestep: float, tensors: Tensors) -> None:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 16, 3, 6, 10, generator=generator)
    text = torch.randn(1, TOKENS, model.config.text_dim, generator=generator)
    given, outputs = [], []
    hooks = [block.register_forward_hook(lambda _, __, ___, out: outputs.append(out), with_kwargs=True) for block in model.blocks]
    hooks.append(model.blocks[0].register_forward_pre_hook(lambda _, inputs: given.append(inputs)))
    said = model(latents, torch.tensor([timestep]), text, return_dict=False)[0]
    for hook in hooks:
        hook.remove()
    (hidden, states, modulation, (cosines, sines)), = given  # fmt: skip
    found = {"latents": latents, "text": text, "hidden": hidden, "states": states, "modulation": modulation,
             "cosines": cosines, "sines": sines, "said": said}  # fmt: skip
    found |= {f"block-{index}": output for index, output in enumerate(outputs)}
    tensors.update({f"{name}/{key}": value.clone() for key, value in found.items()})


def clip_cases(tensors: Tensors) -> list[dict]:
    cases = []
    for (package, experts), solver, scale in itertools.product((("wan21", 1), ("wan22", 2)), ("unipc", "euler"), (1.0, 6.0)):
        case = {"name": f"clip-{len(cases)}", "package": package, "solver": solver, "scale": scale, "seed": len(cases) + 1,
                "low_noise_scale": 4.0 if experts == 2 and scale > 1 else None, "prompt": PROMPTS[len(cases) % 2],
                "negative": NEGATIVE, "tokens": TOKENS, "steps": STEPS, **SIZE}  # fmt: skip
        run_clip(case, pipeline_of(tiny_wan(experts), solver), tensors)
        cases.append(case)
    return cases


def run_clip(case: dict, pipeline: WanPipeline, tensors: Tensors) -> None:
    name, latents = case["name"], []
    options = {
        "prompt": case["prompt"], "negative_prompt": case["negative"], "height": case["height"], "width": case["width"],
        "num_frames": case["frames"], "num_inference_steps": case["steps"], "guidance_scale": case["scale"],
        "guidance_scale_2": case["low_noise_scale"], "max_sequence_length": case["tokens"], "output_type": "pt",
    }  # fmt: skip
    for tiled in (False, True):
        if tiled:
            pipeline.vae.enable_tiling(TILES["size"], TILES["size"], TILES["stride"], TILES["stride"])
        latents.clear()
        frames = pipeline(
            **options, generator=torch.Generator("cpu").manual_seed(case["seed"]),
            callback_on_step_end=lambda _pipeline, _step, _timestep, named: latents.append(named["latents"].clone()) or {},
        ).frames  # fmt: skip
        tensors[f"{name}/{'tiled' if tiled else 'whole'}"] = frames
    pipeline.vae.disable_tiling()
    tensors[f"{name}/latents"] = torch.cat(latents)


def half_case(clips: list[dict], tensors: Tensors) -> dict:
    """One of the clips, with text and transformers in bfloat16, but for what diffusers keeps in float32."""
    of = next(one for one in clips if (one["package"], one["solver"], one["scale"]) == ("wan22", "unipc", 6.0))
    wan = copy.deepcopy(tiny_wan(2))
    wan.text_encoder.bfloat16()
    for model in wan.transformers:
        kept = set(model._keep_in_fp32_modules)
        for name, parameter in model.named_parameters():  # as it loads them
            parameter.data = parameter.data.to(torch.float32 if kept & set(name.split(".")) else torch.bfloat16)
    case = {**of, "name": "half", "of": of["name"]}
    run_clip(case, pipeline_of(wan, of["solver"]), tensors)
    return case


def write_package(experts: int, folder: str, dtypes: tuple[str, ...]) -> None:
    """As `kiln import diffusers` does; the decoder in float32 alone, since its graphs take longest to trace."""
    tiny_wan(experts).save(f"{folder}-source")
    model = read_folder(f"{folder}-source")
    components = components_of(model.text, model.transformer, model.vae)
    graphs = [make_graph(c, dtype) for c in components for dtype in (dtypes if c.part != "vae" else ("float32",))]
    write_wan_package(folder, model, components, tensor_table(model, components), graphs, copy=False)


def make(out: str) -> None:
    os.makedirs(out)
    tensors: Tensors = {}
    with torch.no_grad():
        cases = {"texts": text_cases(tensors), "transformers": transformer_cases(tensors), "clips": clip_cases(tensors), "tiles": TILES}
        cases["half"] = half_case(cases["clips"], tensors)
    write_package(1, f"{out}/wan21", ("float32",))
    write_package(2, f"{out}/wan22", ("float32", "bfloat16"))
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/tensors.safetensors")
    Path(out, "cases.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # with networks as small as these, threads wait for each other most of the time
    made_once(__doc__, make)
