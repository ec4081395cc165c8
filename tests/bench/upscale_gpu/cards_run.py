"""Runs the benches of cards one after the other, each with its own time, and puts what they wrote into one file.

    python3 tests/bench/upscale_gpu/cards_run.py --bundle TAR --package DIR --out FILE.json [--second DIR] [--cards 2] [--device cpu]
        [--only memory,cold,keys,compile,unequal] [--brief] [--minutes 8]

--second: another package, for two more rows of memory. With one card four keys are left out, and both unequal lanes are on it. With
--device cpu it is a rehearsal."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def benches(options):
    """Name, script, its flags, most seconds."""
    cpu = options.device == "cpu"
    device = ["--device", "cpu"] if cpu else []
    second = ["--second", options.second] if options.second else []
    two = "cuda:0,cuda:1" if options.cards > 1 else "cuda:0,cuda:0"
    brief = options.brief
    yield "memory", "memory.py", [*device, *second], 420
    yield "cold", "cold_start.py", [*device, "--rounds", "2" if brief else "3", "--frames", "8" if cpu else "200"], 70 if brief else 120
    if options.cards > 1 or cpu:
        yield "keys", "four_keys_cards.py", device, 560 if cpu else 165 if brief else 300
    yield "compile", "compile_cards.py", [*device, "--cards", str(options.cards)], 360
    yield "unequal", "unequal_cards.py", [*device, "--devices", two, "--seconds", "12" if brief else "20"], 95 if brief else 180


def run(name, script, flags, seconds, options):
    out = pathlib.Path(f"{options.out}.{name}")
    command = [sys.executable, "-B", str(HERE / script), "--bundle", options.bundle, "--package", options.package, "--out", str(out), *flags,
               *options.more.split()]
    begun = time.monotonic()
    log = open(f"{options.out}.{name}.log", "w", encoding="utf-8")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the farm's programs too: they are of its group, and their own children end with them
        process.wait()
        code = "out of time"
    log.close()
    said = pathlib.Path(log.name).read_text(encoding="utf-8", errors="replace")
    value = json.loads(out.read_text()) if out.exists() else None
    return {"code": code, "seconds": round(time.monotonic() - begun, 1), "result": value, "said": said[-1500:] if code != 0 else ""}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--second", default="")
    parser.add_argument("--out", required=True)
    parser.add_argument("--cards", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="")
    parser.add_argument("--more", default="", help="flags for every bench")
    parser.add_argument("--brief", action="store_true", help="cold, keys and unequal in 330 seconds")
    parser.add_argument("--minutes", type=float, default=9)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    wanted = [word for word in options.only.split(",") if word]
    results = {}
    for name, script, flags, seconds in benches(options):
        left = until - time.monotonic()
        if wanted and name not in wanted:
            continue
        results[name] = run(name, script, flags, min(seconds, left), options) if left > 20 else {"code": "no time left"}
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1))
        value = results[name].get("result") or {}
        print(f"{name}: code {results[name]['code']}, {results[name].get('seconds')} s, good: {value.get('good')}, "
              f"rows: {len(value.get('rows', []))}", flush=True)
        for row in value.get("rows", []):
            print("   ", json.dumps(row)[:600], flush=True)
        if results[name]["code"] != 0:
            print(results[name].get("said", "")[-700:], flush=True)


if __name__ == "__main__":
    main()
