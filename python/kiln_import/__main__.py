"""`python -m kiln_import upscaler FILE -o PACKAGE`, and likewise `module pkg.mod:factory`, `diffusers DIR`, `comfy FILE`.

Progress goes to stdout, one line a step. A failure is one line on stderr and an exit code (failure.py)."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable

BAD_CONFIG = 78
INTERRUPTED = 130
TERMINATED = 143


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    warnings.filterwarnings("ignore")
    signal.signal(signal.SIGTERM, _terminate)
    from .failure import IO_ERROR, ImportFailure

    try:
        _import(options)
        return 0
    except ImportFailure as failure:
        print(f"kiln import: {failure}", file=sys.stderr)
        return failure.exit_code
    except ModuleNotFoundError as error:
        print(f"kiln import: {sys.executable} has no package {error.name}; run scripts/setup, or name another "
              "interpreter with --python", file=sys.stderr)  # fmt: skip
        return BAD_CONFIG
    except KeyboardInterrupt:
        print("kiln import: stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except MemoryError:
        print("kiln import: out of memory; nothing was written", file=sys.stderr)
        return IO_ERROR
    except OSError as error:
        text = "disk full; free some space and repeat" if error.errno == errno.ENOSPC else error.strerror
        print(f"kiln import: {error.filename or options.output}: {text}", file=sys.stderr)
        return IO_ERROR


def _terminate(_signal, _frame):
    raise SystemExit(TERMINATED)  # unwinds, so that the half-written folder is removed


def _import(options: argparse.Namespace) -> None:
    from .package import check_output

    check_output(options.output)

    def progress(text: str) -> None:
        print(f"import: {text}", flush=True)

    progress(f"reading {options.source}")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    if options.command in ("diffusers", "comfy"):
        from .wan.command import import_wan

        import_wan(options, progress)
    else:
        _import_network(options, progress)


def _import_network(options: argparse.Namespace, progress: Callable[[str], None]) -> None:
    from .package import write_package

    started = time.monotonic()
    if options.command == "upscaler":
        from .upscaler import load_upscaler

        network = load_upscaler(options.source)
    else:
        from .user_module import load_module

        network = load_module(options.source)
    from .graph_set import make_graphs
    from .tiling_probe import probe

    progress(f"{network.architecture}, x{network.scale}, size multiple {network.size.multiple}")
    graphs, parameters = make_graphs(network, options.dtype, options.tile_shape, options.sizes, progress)
    progress("probing how it may be tiled")
    tiling = probe(network)
    detail = f", halo {tiling.halo}" if tiling.kind != "whole" else ""
    progress(f"tiling {tiling.kind}{detail}, difference {tiling.difference:.2g}")
    write_package(options.output, network, graphs, parameters, tiling)
    progress(f"wrote {options.output}: {len(graphs)} graphs in {time.monotonic() - started:.1f} s")


def _tile_shape(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    shape = int(height), int(width)
    if not all(8 <= side <= 4096 for side in shape):
        raise ValueError
    return shape


_tile_shape.__name__ = "HEIGHTxWIDTH (8 to 4096 each)"


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 < ratio < 1:
        raise ValueError
    return ratio


_ratio.__name__ = "number between 0 and 1"


def _command(commands, name: str, source: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name)
    command.add_argument("source", metavar=source)
    command.add_argument("-o", "--output", required=True, metavar="PACKAGE")
    command.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), action="append", default=[],
                         help="only graphs of this dtype; may be repeated")  # fmt: skip
    command.add_argument("--threads", type=int, default=0)
    return command


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kiln import", description="Makes a model package.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, source in (("upscaler", "FILE"), ("module", "PKG.MOD:FACTORY")):
        command = _command(commands, name, source)
        command.add_argument("--tile-shape", type=_tile_shape, action="append", default=[], metavar="HxW",
                             help="make static graphs for this input size; may be repeated")  # fmt: skip
        sizes = command.add_mutually_exclusive_group()
        sizes.add_argument("--static", dest="sizes", action="store_const", const="fixed", default="any",
                           help="make graphs of fixed sizes, though open ones can be made")
        sizes.add_argument("--dynamic", dest="sizes", action="store_const", const="open",
                           help="leave the size open, however long tracing takes")  # fmt: skip
    for name, source in (("diffusers", "DIR"), ("comfy", "FILE")):
        command = _command(commands, name, source)
        command.add_argument("--copy", action="store_true", help="copy the weights into the package, instead of links")
        if name == "comfy":
            command.add_argument("--low-noise", metavar="FILE", help="the second expert of Wan 2.2")
            command.add_argument("--text-encoder", required=True, metavar="FILE")
            command.add_argument("--vae", required=True, metavar="FILE")
            command.add_argument("--tokenizer", metavar="FILE", help="sentencepiece's model, where the text encoder has none")
            command.add_argument("--boundary-ratio", type=_ratio, help="where the second expert takes over")
    options = parser.parse_args(arguments)
    options.dtype = [d for d in ("float32", "float16", "bfloat16") if not options.dtype or d in options.dtype]
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
