"""Compiles graphs for tests, all in one warm process.

python tests/models/compile_graphs.py --out DIR [--device cpu|cuda] < requests.json

requests.json: [{"name", "pt2", "isa", "inputs": [{"shape": [[least, most]...], "dtype", "strides"}...]}...]
Without "pt2" it is a convolution that keeps its weights in the library, which no package has.
Writes DIR/NAME.so and DIR/NAME.json (the outputs); what is there already is left alone, so that several tests may
share one DIR."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "python")]
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")


def graph_json(pt2: str, folder: str) -> str:
    with zipfile.ZipFile(pt2) as archive:
        name = next(n for n in archive.namelist() if n.endswith("models/model.json"))
        path = os.path.join(folder, "graph.json")
        with open(path, "wb") as file:
            file.write(archive.read(name))
    return path


def compile_package(compiler, request: dict, folder: str) -> tuple[str, list[dict]]:
    result = compiler.compile({
        "graph_json_path": graph_json(request["pt2"], folder), "inputs": request["inputs"], "isa": request["isa"],
        "settings": {"mode": "default"}, "threads": 1, "trial": False,
    })  # fmt: skip
    return result["library"], result["outputs"]


def compile_constants(compiler, request: dict) -> tuple[str, list[dict]]:
    import torch

    spec = request["inputs"][0]
    shape = [low for low, _ in spec["shape"]]
    torch.manual_seed(1)
    network = torch.nn.Conv2d(3, 3, 3, padding=1).eval().requires_grad_(False).to(compiler._device)
    x = torch.zeros(shape, device=compiler._device)
    library = compiler._compile_graph(torch.export.export(network, (x,)).module(), [x], request["isa"], "default")
    return library, [{**spec, "shape": [[n, n] for n in shape]}]


def compile_one(compiler, request: dict, out: str, folder: str, wait: bool) -> bool:
    """False when somebody else is at it, and we are not to wait."""
    target = os.path.join(out, f"{request['name']}.so")
    with open(os.path.join(out, f".{request['name']}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if os.path.exists(target):
            return True
        if "pt2" in request:
            library, outputs = compile_package(compiler, request, folder)
        else:
            library, outputs = compile_constants(compiler, request)
        with open(os.path.join(out, f"{request['name']}.json"), "w") as file:
            json.dump(outputs, file)
        os.replace(library, target)
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    requests = json.load(sys.stdin)
    os.makedirs(options.out, exist_ok=True)
    # Beside the results, so that the finished library is moved and not copied.
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        from kiln_compile.compiler import Compiler

        compiler = Compiler(folder, "g++", "tests", options.device)
        # Two tests that ask for the same list share the work: what the other one is at comes last.
        left = [one for one in requests if not compile_one(compiler, one, options.out, folder, wait=False)]
        for request in left:
            compile_one(compiler, request, options.out, folder, wait=True)


if __name__ == "__main__":
    main()
