"""What diffusers makes of the same numbers: for the tests of schedules, samplers, first noise and guidance.

python tests/lane/generate/make_golden.py --out DIR

DIR/cases.json            what each case is
DIR/tensors.safetensors   its numbers, under CASE/NAME
DIR appears when it is complete; whoever asks for it at the same time waits."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import warnings
from pathlib import Path

import safetensors.torch
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from diffusers.utils.torch_utils import randn_tensor

sys.path.append(str(Path(__file__).resolve().parents[1]))
from made_once import made_once  # noqa: E402

LATENTS = (1, 2, 3, 5, 7)
SHIFTS = (1.0, 3.0, 5.0, 7.0, 8.0, 12.0)
# Wan's at 480p, 720p and of the 5B model, and small ones: below 16 numbers torch makes them by another way.
NOISE_SIZES = ((1, 16, 21, 60, 104), (1, 16, 21, 90, 160), (1, 48, 31, 44, 80), (1, 16, 1, 2, 2), (1, 1, 1, 3, 5), (1, 3, 1, 1, 7))
NOISE_SEEDS = (0, 1, 42, 2**32 - 1, 2**32 + 42, 2**63 + 5)
TRANSFORMER = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16, "out_channels": 16,
    "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32,
}  # fmt: skip

Tensors = dict[str, torch.Tensor]


def scheduler_of(case: dict):
    train = case.get("train_timesteps", 1000)
    if case["solver"] == "euler":
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=train, shift=case["shift"])
    return UniPCMultistepScheduler(
        num_train_timesteps=train, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=case["shift"],
        solver_order=case["order"],
    )  # fmt: skip


def sampler_cases() -> list[dict]:
    cases = [("unipc", 2, shift, steps, {}) for shift, steps in itertools.product(SHIFTS, (1, 2, 3, 5, 15, 30, 50))]
    cases += [("unipc", order, shift, steps, {})
              for order, shift, steps in itertools.product((1, 3), (3.0, 5.0, 12.0), (1, 2, 3, 4, 20, 50))]
    cases += [("euler", 1, shift, steps, {}) for shift, steps in itertools.product(SHIFTS, (1, 2, 4, 30, 50))]
    cases += [(solver, order, 5.0, 20, {"first_step": first})
              for solver, order in (("unipc", 2), ("unipc", 3), ("euler", 1)) for first in (1, 7, 18, 19)]
    cases += [("unipc", 2, 3.0, 12, {"train_timesteps": 500}), ("euler", 1, 3.0, 12, {"train_timesteps": 500})]
    return [{"solver": solver, "order": order, "shift": shift, "steps": steps, **more}
            for solver, order, shift, steps, more in cases]


def run_sampler(case: dict, tensors: Tensors) -> None:
    """Predictions are noise about a common direction: harder on the solver than a network's, which change little."""
    scheduler, first = scheduler_of(case), case.get("first_step", 0)
    scheduler.set_timesteps(case["steps"])
    scheduler.set_begin_index(first)
    generator = torch.Generator().manual_seed(case["steps"] * 100 + int(case["shift"]))
    common = torch.randn(LATENTS, generator=generator)
    latents, predictions = [torch.randn(LATENTS, generator=generator)], []
    for timestep in scheduler.timesteps[first:]:
        predictions.append(common + 0.5 * torch.randn(LATENTS, generator=generator))
        latents.append(scheduler.step(predictions[-1], timestep, latents[-1], return_dict=False)[0])
    tensors[f"{case['name']}/sigmas"] = scheduler.sigmas.clone()
    tensors[f"{case['name']}/timesteps"] = scheduler.timesteps.to(torch.float32)
    tensors[f"{case['name']}/predictions"] = torch.cat(predictions)
    tensors[f"{case['name']}/latents"] = torch.cat(latents)


def noise_cases() -> list[dict]:
    cases = []
    for size, seed in itertools.product(NOISE_SIZES, NOISE_SEEDS):
        noise = randn_tensor(size, torch.Generator("cpu").manual_seed(seed), torch.device("cpu"), torch.float32)
        cases.append({"size": size, "seed": seed, "sha256": hashlib.sha256(noise.numpy().tobytes()).hexdigest()})
    return cases


def pipeline_cases() -> list[dict]:
    wan21 = {"boundary_ratio": None, "low_noise_scale": None}
    wan22 = {"boundary_ratio": 0.875, "low_noise_scale": 3.0}
    return [
        {"solver": "unipc", "order": 2, "shift": 3.0, "steps": 6, "scale": 6.0, "seed": 1, **wan21},
        {"solver": "unipc", "order": 2, "shift": 5.0, "steps": 5, "scale": 1.0, "seed": 2, **wan21},
        {"solver": "euler", "order": 1, "shift": 7.0, "steps": 4, "scale": 6.0, "seed": 3, **wan21},
        {"solver": "unipc", "order": 2, "shift": 12.0, "steps": 8, "scale": 4.0, "seed": 4, **wan22},
        {"solver": "euler", "order": 1, "shift": 5.0, "steps": 6, "scale": 4.0, "seed": 5, **wan22},
        {"solver": "unipc", "order": 2, "shift": 3.0, "steps": 6, "scale": 1.0, "seed": 6, **wan22, "low_noise_scale": None},
        {"solver": "unipc", "order": 2, "shift": 3.0, "steps": 3, "scale": 2.0, "seed": 7, **wan22, "boundary_ratio": 0.999},
        {"solver": "unipc", "order": 2, "shift": 3.0, "steps": 3, "scale": 2.0, "seed": 8, **wan22, "boundary_ratio": 0.1},
    ]  # fmt: skip


class Recorder:
    """Which network ran with which prompt, and what it said."""

    def __init__(self, prompt: torch.Tensor) -> None:
        self.prompt, self.calls, self.outputs, self.first = prompt, [], [], None

    def watch(self, transformer: torch.nn.Module, expert: str) -> None:
        transformer.register_forward_hook(lambda *heard: self.heard(expert, *heard), with_kwargs=True)

    def heard(self, expert: str, _module, _positional, named: dict, output: tuple) -> None:
        if self.first is None:
            self.first = named["hidden_states"].clone()
        conditional = torch.equal(named["encoder_hidden_states"], self.prompt)
        timestep = named["timestep"][0].item()
        self.calls.append({"expert": expert, "unconditional": not conditional, "timestep": timestep})
        self.outputs.append(output[0].clone())


def tiny_transformer(seed: int) -> WanTransformer3DModel:
    torch.manual_seed(seed)
    return WanTransformer3DModel(**TRANSFORMER).eval()


def run_pipeline(case: dict, tensors: Tensors) -> None:
    """WanPipeline itself, with diffusers' own tiny networks, random weights and random texts."""
    two = case["boundary_ratio"] is not None
    prompt, negative = torch.randn(2, 1, 8, 32, generator=torch.Generator().manual_seed(case["seed"]))
    recorder, latents = Recorder(prompt), []
    experts = [tiny_transformer(seed) for seed in (0, 1)[: 2 if two else 1]]
    for expert, name in zip(experts, ("high", "low")):
        recorder.watch(expert, name)
    pipeline = WanPipeline(None, None, None, scheduler_of(case), experts[0], experts[1] if two else None, case["boundary_ratio"])
    pipeline.set_progress_bar_config(disable=True)
    pipeline(
        height=16, width=32, num_frames=9, num_inference_steps=case["steps"], guidance_scale=case["scale"],
        guidance_scale_2=case["low_noise_scale"], generator=torch.Generator("cpu").manual_seed(case["seed"]),
        prompt_embeds=prompt, negative_prompt_embeds=negative, output_type="latent",
        callback_on_step_end=lambda _pipeline, _step, _timestep, named: latents.append(named["latents"].clone()) or {},
    )  # fmt: skip
    case["calls"] = recorder.calls
    tensors[f"{case['name']}/outputs"] = torch.cat(recorder.outputs)
    tensors[f"{case['name']}/latents"] = torch.cat([recorder.first, *latents])


def make(out: str) -> None:
    tensors: Tensors = {}
    samplers, pipelines = sampler_cases(), pipeline_cases()
    for kind, cases, run in (("sampler", samplers, run_sampler), ("pipeline", pipelines, run_pipeline)):
        for index, case in enumerate(cases):
            case["name"] = f"{kind}-{index}"
            run(case, tensors)
    os.makedirs(out)
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/tensors.safetensors")
    with open(f"{out}/cases.json", "w") as file:
        json.dump({"samplers": samplers, "pipelines": pipelines, "noise": noise_cases()}, file)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    with torch.no_grad():
        made_once(__doc__, make)
