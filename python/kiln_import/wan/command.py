"""`kiln import diffusers` and `kiln import comfy`, once their arguments are read."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from ..package import check_output
from .configs import model_name
from .sources import WanModel, tensor_table

# float16 overflows in UMT5, which was trained in bfloat16: transformers keeps part of it in float32 there.
NO_HALF = "text_encoder"


def import_wan(options: argparse.Namespace, progress: Callable[[str], None]) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"  # neither library is to ask anybody anything
    check_output(options.output)
    started = time.monotonic()
    model = _read(options)
    progress(model_name(model.transformer, sum(w.part == "transformer" for w in model.weights)))
    for line in model.notes:
        progress(line)
    count, written = _write(options, model, progress)
    progress(f"wrote {options.output}: {count} graphs, {written} tensors in {time.monotonic() - started:.1f} s")


def _read(options: argparse.Namespace) -> WanModel:
    if options.command == "diffusers":
        from .diffusers_folder import read_folder

        return read_folder(options.source)
    from .comfy_files import read_files

    return read_files(options)


def _write(options: argparse.Namespace, model: WanModel, progress: Callable[[str], None]) -> tuple[int, int]:
    from .package import write_wan_package
    from .parts import components_of
    from .trace_graph import make_graph

    components = components_of(model.text, model.transformer, model.vae)
    entries = tensor_table(model, components)  # before the graphs: what is wrong shows at once
    graphs = []
    for component in components:
        dtypes = [d for d in options.dtype if d != "float16" or component.part != NO_HALF] or ["float32"]
        progress(f"tracing {component.name}, {', '.join(dtypes)}")
        graphs += [make_graph(component, dtype) for dtype in dtypes]
    verb = "copying and reading" if options.copy else "linking and reading"
    progress(f"{verb} the weights")
    write_wan_package(options.output, model, components, entries, graphs, options.copy)
    return len(graphs), len(entries)
