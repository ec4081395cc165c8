"""The model part alone: Kiln's artifact against torch.compile of the same network, interleaved, one 720p and one 1080p frame.

    python3 tests/bench/upscale_gpu/model_part.py --package DIR --out FILE.json [--device cuda:0] [--rounds 30]

The artifact is made by python/kiln_compile, driven as a worker drives it (without its walls); the peer is that package's network,
written here in plain torch (compact: 3x3 convolutions and PReLUs, pixel shuffle, nearest-neighbour base; ESRGAN: residual dense
blocks) in channels_last, random weights on both sides: those of the package are not read. Needs torch and the standard library. With
--device cpu and --sizes 180x320 it is a rehearsal."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[3]
WHEELS = pathlib.Path(torch.__file__).resolve().parents[1]
MATRIX_SIDE = 8192


class Child:
    """A compile child, as worker/compile_process.cc starts it."""

    def __init__(self, folder: pathlib.Path, device: str, log):
        (folder / "tmp").mkdir(parents=True)
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "" if device == "cpu" else device.split(":")[1],
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_HOME": str(WHEELS / "nvidia" / "cu13"),
            "CUDA_INC_PATH": str(WHEELS / "triton" / "backends" / "nvidia" / "include"),
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"), "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TORCHINDUCTOR_VEC_ISA_OK": "1",
        }  # fmt: skip
        request_end, self.requests = os.pipe()
        replies, reply_end = os.pipe()
        options = {"work_folder": str(folder), "compiler": "g++", "isa": "avx2", "device": "cpu" if device == "cpu" else "cuda:0"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", str(ROOT / "python/kiln_compile/__main__.py"), str(request_end), str(reply_end),
             json.dumps(options)], env=environment, pass_fds=(request_end, reply_end), stdout=log, stderr=log)  # fmt: skip
        os.close(request_end)
        os.close(reply_end)
        self.replies = os.fdopen(replies)
        self.folder = folder

    def wait_for(self, *events: str) -> dict:
        for line in self.replies:
            reply = json.loads(line)
            if reply["event"] in events:
                return reply
        raise SystemExit(f"the compile child ended: {self.process.wait()}")

    def compile(self, graph: bytes, inputs: list[dict]) -> dict:
        path = self.folder / "graph.json"
        path.write_bytes(graph)
        request = {"id": 1, "graph_json_path": str(path), "inputs": inputs, "settings": {"mode": "default"}, "isa": "avx2",
                   "threads": 2, "trial": True}  # fmt: skip
        os.write(self.requests, (json.dumps(request) + "\n").encode())
        reply = self.wait_for("done", "error")
        if reply["event"] == "error":
            raise SystemExit(f"not compiled: {reply['message']}")
        return reply


def strides_of(shape: list[int], channels_last: bool) -> list[int]:
    if channels_last:
        _, c, _, w = shape
        return [c * shape[2] * w, 1, w * c, c]
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return strides


def compact(x: torch.Tensor, parameters: list[torch.Tensor], scale: int) -> torch.Tensor:
    y, i = x, 0
    while i < len(parameters):
        y = torch.nn.functional.conv2d(y, parameters[i], parameters[i + 1], padding=1)
        i += 2
        if i < len(parameters):
            y = torch.nn.functional.prelu(y, parameters[i])
            i += 1
    y = torch.nn.functional.pixel_shuffle(y, scale)
    return y + torch.nn.functional.interpolate(x, scale_factor=scale, mode="nearest")


def esrgan(x: torch.Tensor, parameters: dict[str, torch.Tensor], scale: int) -> torch.Tensor:
    """Residual in residual dense blocks, two upsamplings; `scale` is 4."""
    def conv(name: str, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(y, parameters[f"{name}.weight"], parameters[f"{name}.bias"], padding=1)

    def act(y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.leaky_relu(y, 0.2)

    def dense(name: str, y: torch.Tensor) -> torch.Tensor:
        seen = [y]
        for i in range(1, 5):
            seen.append(act(conv(f"{name}.conv{i}.0", torch.cat(seen, 1))))
        return conv(f"{name}.conv5.0", torch.cat(seen, 1)) * 0.2 + y

    first = conv("model.0", x)
    blocks = len({name.split(".")[3] for name in parameters if ".RDB1." in name})
    y = first
    for i in range(blocks):
        block = y
        for part in (1, 2, 3):
            block = dense(f"model.1.sub.{i}.RDB{part}", block)
        y = block * 0.2 + y
    y = first + conv(f"model.1.sub.{blocks}", y)
    for name in ("model.3", "model.6"):
        y = act(conv(name, torch.nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")))
    return conv("model.10", act(conv("model.8", y)))


def network_of(manifest: dict, tensors: list[torch.Tensor]):
    """The peer, and its parameters as it wants them."""
    names = [parameter["name"] for parameter in manifest["parameter"]]
    return (esrgan, dict(zip(names, tensors))) if manifest["architecture"] == "ESRGAN" else (compact, tensors)


def timed_ms(run, device: str) -> float:
    if device == "cpu":
        started = time.perf_counter()
        run()
        return (time.perf_counter() - started) * 1e3
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def pixels_of(name: str, manifest: dict) -> int:
    """For how many pixels of the output a convolution runs, for one of the input."""
    if manifest["architecture"] != "ESRGAN":
        return 1
    return {"model.3": 4, "model.6": 16, "model.8": 16, "model.10": 16}.get(name.removesuffix(".weight"), 1)


def matrix_rate(dtype: torch.dtype, device: str) -> float:
    """Operations a second of a large matrix product: the floor is the network's operations over this."""
    side = MATRIX_SIDE if device != "cpu" else 512
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    return 2 * side**3 / (statistics.median(timed_ms(lambda: a @ b, device) for _ in range(10)) / 1e3)


def measure(manifest: dict, package: pathlib.Path, child: Child, dtype: str, height: int, width: int, options) -> dict:
    graph = next(g for g in manifest["graph"] if g["dtype"] == dtype and g["dynamic"])
    with zipfile.ZipFile(package / graph["file"]) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("models/model.json")))
    shapes = [[1, 3, height, width], *(p["shape"] for p in manifest["parameter"])]
    specs = [{"shape": [[n, n] for n in s], "dtype": dtype, "strides": strides_of(s, len(s) == 4)} for s in shapes]
    made = child.compile(text, specs)
    device, torch_dtype = options.device, getattr(torch, dtype)
    tensors = []
    for shape, spec in zip(shapes, specs):
        tensor = torch.empty_strided(shape, spec["strides"], dtype=torch_dtype, device=device)
        spread = (shape[1] * 9) ** -0.5 if len(shape) == 4 else 0.1  # values neither vanish nor overflow in fp16
        tensors.append(tensor.copy_((torch.rand(shape) * 2 - 1) * spread))
    if device == "cpu":
        runner = torch._C._aoti.AOTIModelContainerRunnerCpu(made["library"], 1)
    else:
        ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)  # artifacts name its functions, not the library
        runner = torch._C._aoti.AOTIModelContainerRunnerCuda(made["library"], 1, device, "")
    network, parameters = network_of(manifest, tensors[1:])
    peer = torch.compile(network, dynamic=False)
    with torch.inference_mode():
        runs = {"artifact": lambda: runner.run(tensors), "torch.compile": lambda: peer(tensors[0], parameters, manifest["scale"]),
                "eager": lambda: network(tensors[0], parameters, manifest["scale"])}  # fmt: skip
        difference = (runner.run(tensors)[0].float() - runs["torch.compile"]().float()).abs().max().item()
        times: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(options.rounds + 3):
            for name, run in runs.items():
                took = timed_ms(run, device)
                if turn >= 3:
                    times[name].append(took)
    medians = {name: round(statistics.median(taken), 3) for name, taken in times.items()}
    operations = sum(2 * s[0] * s[1] * s[2] * s[3] * pixels_of(p["name"], manifest) for p, s in zip(manifest["parameter"], shapes[1:])
                     if len(s) == 4) * height * width
    return {"dtype": dtype, "size": f"{width}x{height}", "ms": medians, "largest_difference": difference,
            "against_torch_compile": round(medians["torch.compile"] / medians["artifact"], 3),
            "compile_s": round(made["compile_s"], 2), "run_peak_mib": round(made["run_peak_bytes"] / 2**20),
            "teraflops": round(operations / medians["artifact"] / 1e9, 1),
            "floor_ms": round(operations / matrix_rate(torch_dtype, device) * 1e3, 3)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--sizes", default="720x1280,1080x1920", help="HEIGHTxWIDTH, …")
    parser.add_argument("--dtypes", default="float16,float32")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    manifest = tomllib.loads((options.package / "manifest.toml").read_text())
    results = {"torch": torch.__version__, "rows": []}
    results["card"] = "cpu" if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    with tempfile.TemporaryDirectory() as folder, open(f"{options.out}.log", "w") as log:
        child = Child(pathlib.Path(folder) / "child", options.device, log)
        results["child_ready_s"] = round(child.wait_for("warm", "progress").get("warm_s", -1.0), 1)
        for dtype in options.dtypes.split(","):
            for size in options.sizes.split(","):
                height, width = map(int, size.split("x"))
                results["rows"].append(measure(manifest, options.package, child, dtype, height, width, options))
                options.out.write_text(json.dumps(results, indent=1))  # what is measured stays, whatever follows
        os.close(child.requests)
        child.process.wait()
    print(options.out.read_text())


if __name__ == "__main__":
    main()
