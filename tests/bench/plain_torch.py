"""The network of a package in plain Python under torch.compile: what the benches compare a lane with.

Run as a program it renders random frames with every process and thread it is told to, and prints JSON:
    python3 tests/bench/plain_torch.py --package DIR [--processes 2] [--threads 1] [--frames 100]
"""

import argparse
import json
import multiprocessing
import pathlib
import time
import tomllib


def load_network(package, height, width):
    """The exported fp32 graph, and an input of the lane's layout with the weights behind it."""
    import torch
    from safetensors.torch import load_file

    manifest = tomllib.loads((package / "manifest.toml").read_text())
    graph = next(g for g in manifest["graph"] if g["dtype"] == "float32" and (g["dynamic"] or (
        g["height"] == height and g["width"] == width)))
    module = torch.export.load(str(package / graph["file"])).module()
    weights = load_file(package / manifest["weights"]["file"])
    parameters = []
    for parameter in manifest["parameter"]:
        tensor = weights[parameter["name"]]
        if parameter["channels_last"]:
            tensor = tensor.to(memory_format=torch.channels_last)
        parameters.append(tensor)
    frame = torch.rand(1, 3, height, width).to(memory_format=torch.channels_last)
    return torch.compile(module), [frame, *parameters]


def seconds_per_frame(module, inputs, frames):
    import torch

    with torch.inference_mode():
        started = time.perf_counter()
        for _ in range(frames):
            module(*inputs)
        return (time.perf_counter() - started) / frames


def _render(options, ready, frames, results):
    import torch

    torch.set_num_threads(options.threads)
    module, inputs = load_network(options.package, options.height, options.width)
    seconds_per_frame(module, inputs, 2)
    ready.wait()
    results.put(seconds_per_frame(module, inputs, frames) * frames)


def all_cores(options):
    """Wall seconds until `options.frames` frames are done by all processes together, start-up not counted."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(options.processes), context.Queue()
    each = options.frames // options.processes
    children = [context.Process(target=_render, args=(options, ready, each, results)) for _ in range(options.processes)]
    for child in children:
        child.start()
    slowest = max(results.get() for _ in children)
    for child in children:
        child.join()
    return {"wall_s": slowest, "frames": each * options.processes, "frame_s": slowest / (each * options.processes)}


def add_network_options(parser):
    parser.add_argument("--package", required=True, type=pathlib.Path)
    parser.add_argument("--height", type=int, default=180)
    parser.add_argument("--width", type=int, default=320)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_network_options(parser)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=100)
    print(json.dumps(all_cores(parser.parse_args())))


if __name__ == "__main__":
    main()
