"""How an artifact's code is made: target, compiler, options of Inductor. The hash of this file, among others, is a
field of the artifact key (identity.py): a change here makes new artifacts."""

from __future__ import annotations

import os
import shlex
import stat

MARCH = {"avx2": "x86-64-v3", "avx512": "x86-64-v4"}
VECTOR_BITS = {"avx2": 256, "avx512": 512}

# A compiler for a declared target. Inductor always says -march=native, which is this host and not the
# lane's. The paths of this host are taken out, and the stack is not executable (newer C libraries refuse to
# load what asks for that). libtorch.so, of which nothing is used, would pull CUDA's libraries
# into every lane. The driver's library is opened by whoever has a card, before an artifact is; a compiler would look for
# it under a name that only toolkits have. A compiler whose child is gone is of no use: it and every program that it
# starts die with their parents.
COMPILER_SCRIPT = """#!/bin/sh
link=
for argument do
  shift
  case "$argument" in
    -march=native) argument=-march={march} ;;
    -mtune=native) argument=-mtune=generic ;;
    -shared) link='-Wl,-z,noexecstack -Wl,--build-id=none -s' ;;
    -ltorch | -lcuda) continue ;;
  esac
  set -- "$@" "$argument"
done
exec setpriv --pdeathsig KILL -- {compiler} -wrapper setpriv,--pdeathsig,KILL,-- \\
  {prefix_maps} "$@" -I{headers} $link
"""


def write_compiler(folder: str, compiler: str, isa: str, torch_folder: str) -> str:
    """Writes the script and returns its path; its name holds g++, by which Inductor knows the dialect."""
    headers = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")
    places = {folder: "kiln", os.path.dirname(torch_folder): "wheels", headers: "headers"}
    maps = [f"-ffile-prefix-map={place}={name}" for place, name in places.items()]
    text = COMPILER_SCRIPT.format(
        march=MARCH[isa], compiler=shlex.quote(compiler), prefix_maps=" ".join(map(shlex.quote, maps)),
        headers=shlex.quote(headers),
    )
    path = os.path.join(folder, f"kiln-{isa}-g++")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, stat.S_IRWXU)
    return path


def inductor_options(isa: str, mode: str, compiler_script: str, library: str) -> dict:
    """Options of torch._inductor.aot_compile for one artifact. Those of the C++ code count on a card too, where the
    code that starts the kernels is C++."""
    from torch._inductor import list_mode_options

    options = {} if mode == "default" else dict(list_mode_options(mode))
    options.pop("triton.cudagraphs", None)  # of torch.compile's run time; a library has no such wrapper
    options.update({
        "aot_inductor.output_path": library,
        "aot_inductor.embed_kernel_binary": True,
        "aot_inductor.model_name_for_generated_files": "kiln",
        "cpp.cxx": (compiler_script,),
        "cpp.dynamic_threads": True,  # else the builder's thread count is in the code
        "cpp.simdlen": VECTOR_BITS[isa],
        # Whether a graph was compiled before must not change what comes out.
        "fx_graph_cache": False,
    })
    return options


def declare_vector_isa(isa: str) -> None:
    """Inductor asks this processor which vector instructions it has; it is told the target's instead."""
    from torch._inductor import cpu_vec_isa

    kind = {"avx2": cpu_vec_isa.VecAVX2, "avx512": cpu_vec_isa.VecAVX512}[isa]
    cpu_vec_isa.valid_vec_isa_list = lambda: [kind()]


def realize_scatter_operands() -> None:
    """Makes Inductor 2.11 write the operands of slice_scatter to memory before it reads them.

    Fused with a constant (the masks of shifted windows in SwinIR and DAT are built so), its vector code for them
    does not compile: `decltype(float)::blendv`. Revisit with every new torch."""
    import torch
    from torch._inductor import lowering

    operator = torch.ops.aten.slice_scatter.default
    fused = lowering.lowerings[operator]

    def realized(x, source, *arguments, **options):
        x.realize()
        source.realize()
        return fused(x, source, *arguments, **options)

    lowering.lowerings[operator] = realized
