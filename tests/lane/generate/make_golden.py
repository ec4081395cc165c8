"""What diffusers makes of the same numbers: for the tests of schedules, samplers and first noise.

python tests/lane/generate/make_golden.py --out DIR

DIR/cases.json            what each case is
DIR/tensors.safetensors   its numbers, under CASE/NAME
DIR appears when it is complete; whoever asks for it at the same time waits."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import warnings

import safetensors.torch
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.utils.torch_utils import randn_tensor

LATENTS = (1, 2, 3, 5, 7)
SHIFTS = (1.0, 3.0, 5.0, 7.0, 8.0, 12.0)
# Wan's at 480p, 720p and of the 5B model, and small ones: below 16 numbers torch makes them by another way.
NOISE_SIZES = ((1, 16, 21, 60, 104), (1, 16, 21, 90, 160), (1, 48, 31, 44, 80), (1, 16, 1, 2, 2), (1, 1, 1, 3, 5), (1, 3, 1, 1, 7))
NOISE_SEEDS = (0, 1, 42, 2**32 - 1, 2**32 + 42, 2**63 + 5)

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


def make(out: str) -> None:
    tensors: Tensors = {}
    samplers = sampler_cases()
    for index, case in enumerate(samplers):
        case["name"] = f"sampler-{index}"
        run_sampler(case, tensors)
    os.makedirs(out)
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/tensors.safetensors")
    with open(f"{out}/cases.json", "w") as file:
        json.dump({"samplers": samplers, "noise": noise_cases()}, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    warnings.filterwarnings("ignore")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(f"{out}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(out):
            return
        shutil.rmtree(f"{out}.partial", ignore_errors=True)
        with torch.no_grad():
            make(f"{out}.partial")
        os.rename(f"{out}.partial", out)


if __name__ == "__main__":
    main()
