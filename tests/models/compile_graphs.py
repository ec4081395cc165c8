"""Compiles graphs for tests, all in one warm process.

python tests/models/compile_graphs.py --out DIR < requests.json

requests.json: [{"name", "pt2", "isa", "inputs": [{"shape", "dtype", "strides"}...]}...]
Writes DIR/NAME.so and DIR/NAME.json (the outputs); what is there already is left alone."""

from __future__ import annotations

import argparse
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


def compile_one(compiler, request: dict, out: str, folder: str) -> None:
    library = os.path.join(out, f"{request['name']}.so")
    if os.path.exists(library):
        return
    inputs = [{**spec, "shape": [[n, n] for n in spec["shape"]]} for spec in request["inputs"]]
    result = compiler.compile({
        "graph_json_path": graph_json(request["pt2"], folder), "inputs": inputs, "isa": request["isa"],
        "settings": {"mode": "default"}, "threads": 1, "trial": False,
    })  # fmt: skip
    outputs = [{**o, "shape": [low for low, _ in o["shape"]]} for o in result["outputs"]]
    with open(os.path.join(out, f"{request['name']}.json"), "w") as file:
        json.dump(outputs, file)
    os.replace(result["library"], library)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    requests = json.load(sys.stdin)
    os.makedirs(options.out, exist_ok=True)
    # Beside the results, so that the finished library is moved and not copied.
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        from kiln_compile.compiler import Compiler

        compiler = Compiler(folder, "g++", "tests")
        for request in requests:
            compile_one(compiler, request, options.out, folder)
            print(request["name"], flush=True)


if __name__ == "__main__":
    main()
