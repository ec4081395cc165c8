"""Random weights from a host's page cache to its cards: to one, to all side by side, and to one and from there by broadcast.

    python3 tests/bench/upscale_gpu/weights.py --bundle TAR --programs DIR --out FILE.json [--bytes 14000000000] [--rounds 3]
        [--cards 2] [--same-card] [--modes one,group-of-one,separate,...] [--nccl LIBRARY] [--device cuda|host]

DIR is a build folder with bench/weight_copies and tests/share_member; the bundle lends its libraries. Members are processes that
load as lanes do when they share weights (lane/lane_share.h), pinned ring and all; `one` and `separate` load by the same ring without
a group; `group-of-one` is a root with nobody to send to, which wants no second card. `broadcast` begins when its members are
connected, as they are in a farm that still fetches the package; `broadcast-at-once` connects meanwhile. In `kill-…` a member is
killed with -9 after twelve chunks. Bytes over a card's host link are those that our code copies; NVML's counters of the slot are
sampled beside them. --device host is a rehearsal in plain memory."""

import argparse
import ctypes
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MODES = "one,separate,broadcast,broadcast-at-once,kill-root,kill-receiver"
DEADLINE_S = 500
RX_BYTES = 1  # NVML_PCIE_UTIL_RX_BYTES, KB/s over the last 20 ms


def nccl_of_torch():
    spec = importlib.util.find_spec("nvidia.nccl") if importlib.util.find_spec("nvidia") else None
    places = list(spec.submodule_search_locations) if spec else []
    found = [path for place in places for path in pathlib.Path(place).glob("lib/libnccl.so.2")]
    return str(found[0]) if found else "-"


def card_uuids(count):
    said = subprocess.run(["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True).stdout
    uuids = said.split()
    if len(uuids) < count:
        raise SystemExit(f"{count} cards wanted, {len(uuids)} here")
    return uuids[:count]


class LinkCounters:
    """What came in over each card's slot, by NVML's own samples; empty where it does not say."""

    def __init__(self, uuids):
        self.totals, self.handles, self.samples, self.ending = [0.0] * len(uuids), [], 0, threading.Event()
        try:
            self.nvml = ctypes.CDLL("libnvidia-ml.so.1")
            if self.nvml.nvmlInit_v2() != 0:
                raise OSError("NVML does not begin")
            for uuid in uuids:
                handle = ctypes.c_void_p()
                if self.nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) != 0:
                    raise OSError(f"no {uuid}")
                self.handles.append(handle)
        except OSError:
            self.handles = []
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        before = time.monotonic()
        while self.handles and not self.ending.is_set():
            rates = []
            for handle in self.handles:
                value = ctypes.c_uint()
                code = self.nvml.nvmlDeviceGetPcieThroughput(handle, RX_BYTES, ctypes.byref(value))
                rates.append(value.value * 1024 if code == 0 else None)
            now = time.monotonic()
            for i, rate in enumerate(rates):
                self.totals[i] += (rate or 0) * (now - before)
            self.samples += all(rate is not None for rate in rates)
            before = now

    def take(self):
        """Bytes by card since the last call; None where nothing was counted."""
        out = [round(total) for total in self.totals] if self.samples else None
        self.totals, self.samples = [0.0] * len(self.totals), 0
        return out


def pinned_copy_rate():
    """Bytes a second of one large copy out of pinned memory: what a card's link gives."""
    code = ("import torch,time;h=torch.empty(1<<30,dtype=torch.uint8).pin_memory();d=torch.empty_like(h,device='cuda');r=[]\n"
            "for _ in range(5):\n torch.cuda.synchronize();t=time.perf_counter();d.copy_(h,non_blocking=True);torch.cuda.synchronize();"
            "r.append((1<<30)/(time.perf_counter()-t))\nprint(max(r))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    return float(done.stdout) if done.returncode == 0 else None


def summary(rounds, total):
    modes = {}
    for row in rounds:
        modes.setdefault(row["mode"], []).append(row)
    out = {"hashes": sorted({m["hash"] for row in rounds for m in row.get("members", []) if m.get("hash", "-") != "-"})}
    for mode, rows in modes.items():
        whole = [row for row in rows if row.get("ended")]
        if not whole:
            continue
        out[mode] = {"seconds": round(statistics.median(row["seconds"] for row in whole), 4),
                     "all_seconds": [row["seconds"] for row in whole]}
        if mode.startswith("kill"):
            out[mode]["others_whole_after_death_s"] = [row["others_whole_after_death_s"] for row in whole]
        elif len(whole[0]["members"]) > 1:
            out[mode]["second_card_link_share"] = max(row["members"][1]["copied_bytes"] for row in whole) / total
    for mode in ("separate", "broadcast", "broadcast-at-once"):
        if mode in out and "one" in out:
            out[mode]["of_one"] = round(out[mode]["seconds"] / out["one"]["seconds"], 3)
    return out


def run(options, root):
    uuids = ["host"] * options.cards if options.device == "host" else card_uuids(1 if options.same_card else options.cards)
    if options.same_card:
        uuids = uuids[:1] * options.cards
    build = pathlib.Path(options.programs)
    env = {**os.environ, "LD_LIBRARY_PATH": f"{root / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    nccl = options.nccl or nccl_of_torch()
    words = [str(build / "bench" / "weight_copies"), str(build / "tests" / "share_member"), str(options.bytes), ",".join(uuids), nccl,
             str(options.rounds), *options.modes.split(",")]
    result = {"bytes": options.bytes, "cards": uuids, "nccl": nccl, "rounds": []}
    if options.device != "host":
        result["pinned_copy_bytes_per_s"] = pinned_copy_rate()
    counters = LinkCounters([] if options.device == "host" else uuids)
    tool = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    timer = threading.Timer(options.deadline, tool.kill)
    timer.start()
    for line in tool.stdout:
        row = json.loads(line)
        row["slot_rx_bytes_by_nvml"] = counters.take()
        result["rounds"].append(row)
        print(row["mode"], row.get("seconds"), "copied", [m.get("copied_bytes") for m in row.get("members", [])],
              "after death", row.get("others_whole_after_death_s"), row.get("why") or row.get("error") or "", flush=True)
        result["summary"] = summary(result["rounds"], options.bytes)
        pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
    timer.cancel()
    result["exit"], result["stderr"] = tool.wait(), tool.stderr.read()[-4000:]
    counters.ending.set()
    pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
    print(json.dumps(result.get("summary"), indent=1))
    return result


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--bytes", type=int, default=14_000_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cards", type=int, default=2)
    parser.add_argument("--modes", default=MODES)
    parser.add_argument("--nccl")
    parser.add_argument("--same-card", action="store_true", help="all members on the first card: NCCL refuses that, and all must go on")
    parser.add_argument("--device", default="cuda", choices=["cuda", "host"])
    parser.add_argument("--deadline", type=int, default=DEADLINE_S)
    return parser


def main():
    options = arguments().parse_args()
    with tempfile.TemporaryDirectory(prefix="kiln-weights-") as folder:
        subprocess.run(["tar", "-xf", options.bundle, "-C", folder], check=True)
        root = next(path for path in pathlib.Path(folder).iterdir() if (path / "bin" / "kiln").exists())
        sys.exit(run(options, root)["exit"])


if __name__ == "__main__":
    main()
