"""Every network gives the same bits with --executor compiled, however many lanes, threads and segments there are.

    build/release/venv/bin/python tests/bench/network_bits.py --work DIR [--only NAME]... [--any | --isa avx2]

Without either: `kiln run upscale` of a small clip, for each network and each row of CUTS; compared are the frame hashes
of the report (planes handed to the encoder) and the decoded frames of the FFV1 output. With --any: one job uncompiled
and one compiled, whose frames may be one code value apart, at 8 bit and at 10. With --isa: the artifact for that level
alone, run in plain Python with 1, 2 and 4 threads while ATen and oneDNN are held to that level, since a lane takes its
level from the processor. What DIR has already is not made again. Prints a line for each network, and ends with 1 where
bits differ that should not."""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KILN = ROOT / "build" / "release" / "bin" / "kiln"
sys.path[:0] = [str(HERE), str(HERE.parent / "models"), str(HERE.parent / "integration")]

HEIGHT, WIDTH = 184, 320  # a multiple of every network's own, and large enough that threads would share sums
TILE_SHAPE = ("--tile-shape", f"{HEIGHT}x{WIDTH}")
FIXED_SIZE = ("swinir", "omnisr")  # do not export with open sides
# lanes, frames of a segment, threads of a lane; the others are compared with the first
CUTS = ((1, 100, 1), (1, 1, 2), (2, 3, 1), (2, 1, 2), (4, 2, 1), (4, 1, 2))
THREADS = (1, 2, 4)
# As a processor of that level would have them.
LEVELS = {"avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
          "avx512": {}}


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def package(name, work):
    """The folder of the package, and whether lanes run it with one thread."""
    import safetensors.torch
    from make_fixtures import ANIMEVIDEO, MODULE, animevideo_file
    from networks import NETWORKS, build

    folder, said = work / "packages" / name, work / "packages" / f"{name}.json"
    if not said.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        command = [KILN, "--json", "import", "upscaler"]
        shape = TILE_SHAPE if name in FIXED_SIZE else ()
        if name == MODULE:
            command[3:] = ["module", f"{MODULE}:make"]
        elif name == ANIMEVIDEO:
            command.append(animevideo_file())
        else:
            network = next(one for one in NETWORKS if one.name == name)
            tensors = {key: value.contiguous() for key, value in build(network).state_dict().items()}
            command.append(folder.parent / f"{name}.safetensors")
            safetensors.torch.save_file(tensors, command[-1])
        said.write_text(run([*command, "-o", folder, "--dtype", "float32", *shape], cwd=HERE.parent / "models"))
    return folder, json.loads(said.read_text()).get("one_thread", False)


# ---- whole jobs ----

def source_clip(options, pixel_format):
    from clips import make

    path = options.work / f"{options.frames}-{pixel_format}.mkv"
    if not path.exists():
        make(path, frames=options.frames, size=f"{WIDTH}x{HEIGHT}", pixel_format=pixel_format, encoder=("-c:v", "ffv1"))
    return path


def upscale(options, folder, clip, output, lanes, segment_frames, threads, executor="compiled"):
    report = json.loads(run([KILN, "--json", "run", "upscale", clip, "-o", output, "--overwrite", "--model", folder,
                             "--state", options.work / "state", "--executor", executor, "--codec", "ffv1", "--lanes",
                             lanes, "--segment-frames", segment_frames, "--threads-per-lane", threads]))
    if report["clips"][0][f"frames_{executor}"] != options.frames:
        raise SystemExit(f"{output}: not all frames are {executor}")
    return report


def job(options, folder, clip, lanes, segment_frames, threads):
    from clips import frame_hashes

    output = options.work / f"{folder.name}-{lanes}-{segment_frames}-{threads}.mkv"
    report = upscale(options, folder, clip, output, lanes, segment_frames, threads)
    [one] = report["clips"]
    used = sum(1 for lane in report["lanes"] if lane["segments"] > 0)
    decoded = frame_hashes(output)
    output.unlink()
    return one["frame_hashes"], decoded, used


def check_jobs(options, name):
    clip = source_clip(options, "yuv420p")
    folder, _ = package(name, options.work)
    whole, decoded, _ = job(options, folder, clip, *CUTS[0])
    if len(set(whole)) != options.frames:
        raise SystemExit(f"{name}: frames of this clip are alike, so that nothing would be seen")
    bad, lanes_used = [], []
    for cut in CUTS[1:]:
        hashes, pictures, used = job(options, folder, clip, *cut)
        lanes_used.append(f"{used} of {cut[0]}")
        if hashes != whole or pictures != decoded:
            bad.append(cut)
    result = f"differ: {bad}" if bad else "equal"
    return not bad, f"{len(CUTS)} cuts, lanes that rendered {', '.join(lanes_used)}: {result}"


def check_any(options, name):
    from clips import largest_difference, raw_frames

    folder, _ = package(name, options.work)
    found = []
    for pixel_format, sample in (("yuv420p", "B"), ("yuv420p10le", "H")):
        outputs = {}
        for executor in ("compiled", "uncompiled"):
            output = options.work / f"{name}-{executor}.mkv"
            upscale(options, folder, source_clip(options, pixel_format), output, *CUTS[0], executor=executor)
            outputs[executor] = raw_frames(output)
            output.unlink()
        found.append(largest_difference(*outputs.values(), sample))
    return max(found) <= 1, f"compiled and uncompiled frames: at most {found} code values apart (8, 10 bit)"


# ---- artifacts for a level ----

def strides(shape, channels_last):
    if channels_last and len(shape) == 4:
        _, c, h, w = shape
        return [c * h * w, 1, w * c, c]
    out = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        out[i] = out[i + 1] * shape[i + 1]
    return out


def compile_request(name, folder, isa):
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    graph = next(g for g in manifest["graph"] if g["dynamic"] or (g["height"], g["width"]) == (HEIGHT, WIDTH))
    frames = manifest["frames_before"] + 1 + manifest["frames_after"]
    image = [1, 3, HEIGHT, WIDTH] if frames == 1 else [1, frames, 3, HEIGHT, WIDTH]
    tensors = [(image, "float32", frames == 1)]
    tensors += [(p["shape"], p["dtype"] if p["keep_dtype"] else "float32", p["channels_last"])
                for p in manifest.get("parameter", [])]
    inputs = [{"shape": [[n, n] for n in shape], "dtype": dtype, "strides": strides(shape, last)}
              for shape, dtype, last in tensors]
    return manifest, {"name": f"{name}-{isa}", "pt2": str(folder / graph["file"]), "isa": isa, "inputs": inputs}


def check_artifact(options, name):
    """In a process of its own, since ATen reads its level once."""
    import safetensors.torch
    import torch

    folder, one_thread = package(name, options.work)
    manifest, request = compile_request(name, folder, options.isa)
    libraries = options.work / "libraries"
    run([sys.executable, HERE.parent / "models" / "compile_graphs.py", "--out", libraries], input=json.dumps([request]))
    weights = safetensors.torch.load_file(folder / manifest["weights"]["file"])
    torch.manual_seed(3)
    inputs = []
    for index, spec in enumerate(request["inputs"]):
        shape = [least for least, _ in spec["shape"]]
        tensor = torch.empty_strided(shape, spec["strides"], dtype=getattr(torch, spec["dtype"]))
        inputs.append(tensor.copy_(weights[manifest["parameter"][index - 1]["name"]] if index else torch.rand(shape)))
    # Beside a library, torch looks for a file of its own with the very name of the one that describes the outputs.
    alone = options.work / "alone" / name
    alone.mkdir(parents=True, exist_ok=True)
    shutil.copy(libraries / f"{request['name']}.so", alone / "library.so")
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(alone / "library.so"), 1)
    frames = {}
    for threads in (*THREADS, 1):
        torch.set_num_threads(threads)
        frame = runner.run(inputs)[0].clone()
        if threads in frames and not torch.equal(frames[threads], frame):
            return False, "repeated with as many threads, it gives other bits"
        frames[threads] = frame
    differ = {threads: f"{(frame - frames[1]).abs().max().item():.1e}" for threads, frame in frames.items()
              if not torch.equal(frame, frames[1])}
    rule = "one thread a lane" if one_thread else "any threads"
    result = f"differ: {differ}" if differ else "equal"
    level = torch.backends.cpu.get_cpu_capability()
    return one_thread or not differ, f"{rule}; ATen at {level}; with {THREADS} threads: {result}"


def check_isa(options, name):
    command = [sys.executable, __file__, "--work", str(options.work), "--isa", options.isa, "--child", name]
    done = subprocess.run(command, env={**os.environ, **LEVELS[options.isa]}, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode == 0, done.stdout.strip()


def main():
    from make_fixtures import NAMES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--isa", choices=sorted(LEVELS))
    parser.add_argument("--any", action="store_true")
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.child:
        good, text = check_artifact(options, options.child)
        print(text)
        sys.exit(0 if good else 1)
    all_good = True
    for name in options.only or NAMES:
        good, text = (check_any if options.any else check_isa if options.isa else check_jobs)(options, name)
        all_good = all_good and good
        print(f"{name}: {text}", flush=True)
    sys.exit(0 if all_good else 1)


if __name__ == "__main__":
    main()
