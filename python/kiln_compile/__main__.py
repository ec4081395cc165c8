"""`python -I kiln_compile/__main__.py REQUEST_FD REPLY_FD OPTIONS_JSON`: JSON lines on a private pair of
descriptors, one request at a time. Whatever libraries print goes to stdout and stderr and is a log."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback

PROTOCOL = 2
MESSAGE_CHARACTERS_MAX = 2000


def main(arguments: list[str]) -> int:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.dirname(folder))
    requests = os.fdopen(int(arguments[0]), "r", encoding="utf-8")
    replies = os.fdopen(int(arguments[1]), "w", encoding="utf-8")
    for file in (requests, replies):
        os.set_inheritable(file.fileno(), False)  # not for compilers

    def reply(**fields) -> None:
        replies.write(json.dumps(fields) + "\n")
        replies.flush()

    options = json.loads(arguments[2])
    started = time.monotonic()
    import torch

    from kiln_compile import identity
    from kiln_compile.compiler import Compiler

    recipe_id = identity.recipe_sha256(folder)
    compiler = Compiler(options["work_folder"], options["compiler"], recipe_id, options["device"])
    reply(
        event="hello", protocol=PROTOCOL, torch_version=torch.__version__, torch_git=torch.version.git_version,
        recipe_sha256=recipe_id, import_s=time.monotonic() - started,
    )  # fmt: skip
    memory = _count_memory(options, reply)
    _warm_up(compiler, options, reply)
    for line in requests:
        _answer(compiler, memory, json.loads(line), options["work_folder"], reply)
    return 0


def _count_memory(options: dict, reply):
    if options["device"] == "cpu":
        return None
    from kiln_compile.card_memory import CardMemory

    memory = CardMemory()
    if memory.fault:
        reply(event="progress", text=f"what it has of its card is not counted: {memory.fault}")
    return memory


def _warm_up(compiler, options: dict, reply) -> None:
    started = time.monotonic()
    try:
        if options["isa"]:
            compiler.warm_up(options["isa"])
        reply(event="warm", warm_s=time.monotonic() - started)
    except Exception as error:  # a request then says what is wrong, better than this graph could
        traceback.print_exc()
        reply(event="progress", text=f"warm-up failed: {_line(error)}")


def _compile(compiler, request: dict, work_folder: str) -> dict:
    if "kernels" not in request:
        return compiler.compile(request)
    from kiln_compile import kernels

    compiler.clean()
    return kernels.compile_kernels(request, work_folder)


def _answer(compiler, memory, request: dict, work_folder: str, reply) -> None:
    identity = request["id"]
    try:
        if memory is not None:
            memory.begin()
        result = _compile(compiler, request, work_folder)
        if memory is not None:
            result.update(memory.report(result.get("card_reserved_bytes", 0)))
    except Exception as error:
        traceback.print_exc()
        reply(event="error", id=identity, message=_line(error))
        if _card_is_lost():
            os._exit(1)  # the next request gets a fresh process
    else:
        reply(event="done", id=identity, **result)
    sys.stdout.flush()
    sys.stderr.flush()
    # The library stays until the next request; whoever asked copies it at once.
    gc.collect()


def _card_is_lost() -> bool:
    import torch

    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except Exception:
        return True
    return False


def _line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines)[:MESSAGE_CHARACTERS_MAX]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
