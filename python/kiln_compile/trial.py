"""A few runs of a fresh library on this host: how long, how much memory. On the CPU in a process of its own; on a card in this
one, since a process that has used CUDA cannot be forked: a library that crashes there takes the compile child with it."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import time

import torch

TRIAL_DEADLINE_S = 120.0
CARD_RUNS = 5  # the middle one counts
REPLY_BYTES_MAX = 65536


class TrialError(Exception):
    pass


def run_once(library: str, inputs: list[dict], threads: int) -> dict:
    """{"run_ms", "run_peak_bytes", "outputs"}; raises TrialError when the library crashes or hangs."""
    read_end, write_end = os.pipe()
    # The parent never runs an operator on more than one thread, so there is no thread pool to lose here.
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        status = 1
        try:
            torch.set_num_threads(threads)
            os.write(write_end, json.dumps(_measure(library, inputs)).encode())
            status = 0
        except BaseException as error:  # the only way out of a forked child is _exit
            os.write(write_end, json.dumps({"error": str(error)[:1000]}).encode())
        finally:
            os._exit(status)
    os.close(write_end)
    try:
        reply = _read_reply(read_end, pid)
    finally:
        os.close(read_end)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if not reply:
        raise TrialError(f"the compiled library ended its trial run ({_describe(status)})")
    result = json.loads(reply)
    if "error" in result:
        raise TrialError(f"the compiled library failed in its trial run: {result['error']}")
    return result


def _read_reply(descriptor: int, pid: int) -> bytes:
    until = time.monotonic() + TRIAL_DEADLINE_S
    reply = b""
    while len(reply) < REPLY_BYTES_MAX:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TrialError(f"the compiled library's trial run took longer than {TRIAL_DEADLINE_S:.0f} s")
        chunk = os.read(descriptor, REPLY_BYTES_MAX)
        if not chunk:
            return reply
        reply += chunk
    raise TrialError("the trial run said too much")


def _measure(library: str, inputs: list[dict]) -> dict:
    generator = torch.Generator().manual_seed(1)
    tensors = [_example(spec, generator) for spec in inputs]
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(library, 1)
    _map_large_buffers(from_bytes=1 << 17)
    _reset_peak()
    before = _resident("VmRSS")
    outputs = runner.run(tensors)  # also fills oneDNN's caches
    peak = max(0, _resident("VmHWM") - before)
    _map_large_buffers(from_bytes=1 << 30)  # as a lane does
    started = time.monotonic()
    runner.run(tensors)
    run_ms = (time.monotonic() - started) * 1000.0
    return {"run_ms": run_ms, "run_peak_bytes": peak, "outputs": _described(outputs)}


def run_on_card(library: str, inputs: list[dict]) -> dict:
    """As run_once. A card's error is no TrialError: nothing works in a process that met one."""
    ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)  # artifacts name its functions, not the library
    generator = torch.Generator().manual_seed(1)
    tensors = [_on_card(_example(spec, generator)) for spec in inputs]
    runner = torch._C._aoti.AOTIModelContainerRunnerCuda(library, 1, "cuda:0", "")
    torch.cuda.synchronize()
    reserved = torch.cuda.max_memory_reserved()  # while it was compiled
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    outputs = runner.run(tensors)  # also loads the kernels and fills cuDNN's caches
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    described = _described(outputs)
    del outputs
    times = []
    for _ in range(CARD_RUNS):
        started = time.monotonic()
        runner.run(tensors)
        torch.cuda.synchronize()
        times.append((time.monotonic() - started) * 1000.0)
    del tensors, runner
    torch.cuda.empty_cache()
    reserved = max(reserved, torch.cuda.max_memory_reserved())
    return {"run_ms": sorted(times)[CARD_RUNS // 2], "run_peak_bytes": peak, "outputs": described, "card_reserved_bytes": reserved}


def _on_card(tensor: torch.Tensor) -> torch.Tensor:
    moved = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda:0")
    return moved.copy_(tensor)


def _described(outputs: list[torch.Tensor]) -> list[dict]:
    return [
        {
            "shape": [[size, size] for size in output.shape],
            "dtype": str(output.dtype).removeprefix("torch."),
            "strides": list(output.stride()),
        }
        for output in outputs
    ]


def _example(spec: dict, generator: torch.Generator) -> torch.Tensor:
    shape = [low for low, _ in spec["shape"]]
    dtype = getattr(torch, spec["dtype"])
    tensor = torch.zeros(shape, dtype=dtype).as_strided(shape, spec["strides"])
    if dtype.is_floating_point and dtype.itemsize >= 2:
        tensor.copy_(torch.rand(shape, generator=generator).mul_(0.1))
    return tensor


def _map_large_buffers(from_bytes: int) -> None:
    """Such buffers are mapped when they are made and unmapped when they are freed, so that the resident set
    is what is in use."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    library = ctypes.CDLL(None)
    library.mallopt(m_mmap_threshold, from_bytes)
    library.mallopt(m_trim_threshold, from_bytes)
    library.malloc_trim(0)


def _reset_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # not allowed here: the peak then is that of both runs


def _resident(field: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _describe(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
