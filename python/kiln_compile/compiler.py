"""The warm compiler: Inductor imported, its lazy parts loaded, its headers precompiled."""

from __future__ import annotations

import os
import shutil
import time

import torch
import torch._inductor.codecache
import torch._inductor.compile_fx
import torch._inductor.cpp_builder

from . import program, recipe, trial


class CompileError(Exception):
    pass


class Compiler:
    """One for the life of the child. Folder layout: headers-*/ is kept, request/ lives for one request."""

    def __init__(self, work_folder: str, compiler: str, recipe_id: str, device: str = "cpu"):
        self._folder = work_folder
        self._device = device
        self._torch_folder = os.path.dirname(torch.__file__)
        self._scripts = {
            isa: recipe.write_compiler(work_folder, compiler, isa, self._torch_folder) for isa in recipe.MARCH
        }
        headers = os.path.join(work_folder, f"headers-{recipe_id[:16]}-{torch.version.git_version[:16]}")
        for name in os.listdir(work_folder):  # of an older torch or recipe
            if name.startswith("headers-") and name != os.path.basename(headers):
                shutil.rmtree(os.path.join(work_folder, name), ignore_errors=True)
        codecache = torch._inductor.codecache
        codecache._HEADER_DIR = headers
        codecache._HEADER_LOCK_DIR = os.path.join(headers, "locks")
        torch.set_num_threads(1)
        recipe.realize_scatter_operands()

    def warm_up(self, isa: str) -> None:
        """Makes the first real compile as fast as the second: goes through everything up to g++ with a small
        graph, which also precompiles the two headers that every artifact includes."""
        real_build = torch._inductor.cpp_builder.CppBuilder.build

        def build(builder):
            if any(source.endswith(".cpp") for source in builder._sources_args.split()):
                raise _Enough
            return real_build(builder)

        torch._inductor.cpp_builder.CppBuilder.build = build
        try:
            self._compile_graph(*_small_graph(self._device), isa, "default")
        except Exception as error:
            if not _is_enough(error):
                raise
        finally:
            torch._inductor.cpp_builder.CppBuilder.build = real_build
            self.clean()

    def compile(self, request: dict) -> dict:
        started = time.monotonic()
        self.clean()
        inputs = request["inputs"]
        with open(request["graph_json_path"], "rb") as file:
            graph = program.read_graph(file.read(), self._device)
        static = program.is_static(inputs)
        if static:
            graph, arguments = program.specialise(graph, inputs, self._device)
        else:
            graph, arguments = program.keep_dynamic(graph, inputs)
        outputs = program.describe_outputs(graph)
        mode = request["settings"].get("mode", "default")
        library = self._compile_graph(graph, arguments, request["isa"], mode)
        result = {"library": library, "compile_s": time.monotonic() - started, "outputs": outputs}
        result.update(run_ms=0.0, run_peak_bytes=0)
        if static and request["trial"]:
            result.update(self._try(library, inputs, request["threads"]))
        return result

    def _try(self, library: str, inputs: list[dict], threads: int) -> dict:
        if self._device == "cpu":
            return trial.run_once(library, inputs, threads)
        return trial.run_on_card(library, inputs)

    def _compile_graph(self, graph, arguments, isa: str, mode: str) -> str:
        folder = os.path.join(self._folder, "request")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        library = os.path.join(folder, "model.so")
        recipe.declare_vector_isa(isa)
        options = recipe.inductor_options(isa, mode, self._scripts[isa], library)
        made = torch._inductor.aot_compile(graph, tuple(arguments), options=options)
        if made != library or not os.path.isfile(library):
            raise CompileError(f"Inductor wrote {made!r} instead of one library")
        return library

    def clean(self) -> None:
        """Removes what an earlier graph left; the headers stay."""
        shutil.rmtree(os.path.join(self._folder, "request"), ignore_errors=True)
        shutil.rmtree(os.environ["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)


class _Enough(Exception):
    pass


def _is_enough(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, _Enough):
            return True
        error = error.__cause__ or error.__context__
    return False


def _small_graph(device: str):
    """Uses what networks use: convolution, activation, addition, reshape."""

    def network(x, weight, bias, slope):
        y = torch.ops.aten.prelu(torch.ops.aten.conv2d(x, weight, bias, [1, 1], [1, 1]), slope)
        return (torch.ops.aten.pixel_shuffle(y, 2) + torch.ops.aten.upsample_nearest2d(x, None, [2.0, 2.0]),)

    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    with FakeTensorMode():
        x = torch.empty(1, 3, 16, 16, device=device).to(memory_format=torch.channels_last)
        weight = torch.empty(12, 3, 3, 3, device=device).to(memory_format=torch.channels_last)
        arguments = [x, weight, torch.empty(12, device=device), torch.empty(12, device=device)]
        return make_fx(network, tracing_mode="fake")(*arguments), arguments
