"""What the benches of farms on cards share: a coordinator and workers of one's choice out of an unpacked bundle, jobs with their
traces, and what the card has in use, by NVML."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time

import jobs

PATIENCE_S = 150  # a worker that meets a card measures it first, and reads torch's libraries from disk
JOB_PATIENCE_S = 480
SAMPLE_S = 0.005


class Farm:
    """One coordinator and its workers, below one folder: a new one is an empty store, an old one what was left there."""

    def __init__(self, bench, name, env=None):
        self.bench, self.state = bench, bench.work / name
        self.state.mkdir(exist_ok=True)
        self.kiln = str(bench.root / "bin" / "kiln")
        self.env, self.processes, self.jobs = {**os.environ, **(env or {})}, [], 0
        self._start("coordinator", [])
        notice = self.state / "coordinator" / "coordinator.json"
        self.wait_for("the coordinator", notice.exists)
        self.endpoint = json.loads(notice.read_text())["endpoint"]

    def _start(self, name, more, cores=None, command="coordinator"):
        pin = [] if cores is None else ["taskset", "-c", ",".join(map(str, cores))]
        with open(self.state / f"{name}.log", "a", encoding="utf-8") as log:
            process = subprocess.Popen([*pin, self.kiln, "-v", command, "--state", str(self.state / name), *more], stdout=log, stderr=log,
                                       env=self.env)
        self.processes.append(process)
        return process

    def worker_without_waiting(self, name, device, *flags, cores=None):
        return self._start(name, ["--coordinator", self.endpoint, "--name", name, "--device", device, "--python", sys.executable,
                                  *map(str, flags)], cores, "worker")

    def worker(self, name, device, *flags, cores=None):
        """Returns when it is there and its lanes are."""
        process = self.worker_without_waiting(name, device, *flags, cores=cores)
        self.wait_for(f"worker {name}", lambda: process.poll() is not None or self._is_up(name))
        if process.poll() is not None:
            raise RuntimeError(f"worker {name} ended: {self.log(name)[-800:]}")
        return process

    def _is_up(self, name):
        return any(one["worker"] == name and one["connected"] and all(lane["state"] == "idle" for lane in one["lanes"])
                   for one in self.ask("workers")["workers"])

    def log(self, name):
        text = (self.state / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        for lane in sorted((self.state / name / "logs").glob("lane-*.log")):
            text += lane.read_text(encoding="utf-8", errors="replace")
        return text

    def wait_for(self, what, condition):
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"{what} does not come up")
            time.sleep(0.05)

    def ask(self, *words):
        return json.loads(jobs.run([self.kiln, "--json", *words, "--state", str(self.state / "coordinator")], env=self.env,
                                   timeout=JOB_PATIENCE_S))

    def submit(self, clips, package, variant_mib=0, **keys):
        self.jobs += 1
        file = self.state / f"job-{self.jobs}.toml"
        lines = [f'{key} = {json.dumps(value)}\n' for key, value in {"model": os.path.abspath(package), **keys}.items()]
        if variant_mib:
            lines.append(f'[[variant]]\nname = "bench"\nbudget_mib = {variant_mib}\n')
        lines += [f'[[clip]]\nsource = "{clip}"\noutput = "out-{i}.mkv"\n' for i, clip in enumerate(clips)]
        file.write_text("".join(lines))
        return self.ask("submit", str(file))["job"]

    def finish(self, job):
        self.ask("watch", job)
        status = self.ask("status", job)
        if status["state"] != "done":
            raise RuntimeError(f"{job}: {status['state']}: {status['reason']}")
        return status

    def render(self, clips, package, **keys):
        return self.finish(self.submit(clips, package, **keys))

    def events(self, job):
        return json.loads(jobs.run([self.kiln, "trace", job, "--state", str(self.state / "coordinator")], env=self.env))["traceEvents"]

    def spans(self, job):
        """Tries of the job's tasks: name, worker, lane, start_s and end_s, outcome."""
        events = self.events(job)
        names = {event["pid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
        return [{"name": event["name"], "worker": names[event["pid"]], "lane": event["tid"], "start_s": event["ts"] / 1e6,
                 "end_s": (event["ts"] + event["dur"]) / 1e6, "outcome": event["args"]["outcome"]}
                for event in events if event["ph"] == "X"]

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        if process.poll() is None:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def close(self):
        for process in list(reversed(self.processes)):
            self.stop(process)


class NvmlMemory(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint), *((name, ctypes.c_ulonglong) for name in ("total", "reserved", "free", "used"))]


class CardUse:
    """Bytes of a card in use by anybody, looked at every 5 ms between begin() and peak()."""

    def __init__(self, index):
        self.library = ctypes.CDLL("libnvidia-ml.so.1")
        self.device = ctypes.c_void_p()
        self._check(self.library.nvmlInit_v2())
        self._check(self.library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(self.device)))
        self.most, self.samples, self.slowest_s = 0, 0, 0.0
        self.over = threading.Event()
        self.thread = None

    @staticmethod
    def _check(code):
        if code != 0:
            raise RuntimeError(f"NVML says {code}")

    def now(self):
        memory = NvmlMemory(version=ctypes.sizeof(NvmlMemory) | 2 << 24)
        self._check(self.library.nvmlDeviceGetMemoryInfo_v2(self.device, ctypes.byref(memory)))
        return memory.used

    def settled(self, patience_s=10.0):
        """The value when two looks in a row see the same, as when the last process has gone."""
        before, until = self.now(), time.monotonic() + patience_s
        while time.monotonic() < until:
            time.sleep(0.3)
            if (now := self.now()) == before:
                break
            before = now
        return before

    def begin(self):
        self.most, self.samples, self.slowest_s = 0, 0, 0.0
        self.over.clear()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over.wait(SAMPLE_S):
            asked = time.monotonic()
            self.most = max(self.most, self.now())
            self.samples += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - asked)

    def peak(self):
        self.over.set()
        self.thread.join()
        return self.most


class Result:
    """A JSON file that is written after every row."""

    def __init__(self, options, **facts):
        self.path = options.out
        self.value = {"options": {key: str(value) for key, value in vars(options).items()}, "cores": os.cpu_count(), **facts, "rows": []}
        self.write()

    def add(self, row):
        self.value["rows"].append(row)
        self.write()
        print(json.dumps(row), flush=True)

    def write(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.value, file, indent=1)
