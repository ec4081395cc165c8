"""Runs a farm out of an unpacked bundle on a machine with a card, and writes what it saw as JSON.

    python3 tests/gpu/farm_run.py --bundle TAR --package DIR --out DIR [--device cuda:0] [--faults LIBRARY]

A coordinator, a worker with CPU lanes and a worker whose lane is the card. The bundle's clip is rendered by each, compiled on
the CPU, uncompiled and compiled on the card, there in float32 and in what a card takes by itself, and the frames are compared; then
the card's lane is killed with -9 in the middle of a job, which must end all the same. With --faults, whose LIBRARY is
build/release/tests/libcard_fault.so, the lane also hangs (stopped, and in a kernel), its context is lost, and the coordinator is
away for a minute; each job must end with the frames of one that was left alone. With --device cpu it is a rehearsal, without faults of the card."""

import argparse
import json
import math
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np

DEADLINE_S = 240
LANE_SILENCE_S = 5
COORDINATOR_AWAY_S = 60


def psnr_db(difference):
    error = float((difference.astype(np.float64) ** 2).mean())
    return None if error == 0 else round(10 * math.log10(255 ** 2 / error), 2)


class Farm:
    def __init__(self, options):
        self.out = pathlib.Path(options.out)
        self.work = self.out / "farm"
        self.work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-xf", options.bundle, "-C", str(self.work)], check=True)
        self.root = next(path for path in self.work.iterdir() if (path / "bin" / "kiln").exists())
        self.kiln = str(self.root / "bin" / "kiln")
        self.clip = self.root / "share" / "clip.mp4"
        self.package = pathlib.Path(options.package).resolve()
        self.results = {}
        self.processes = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]  # a worker that is left alone looks for its coordinator there
        self.fault = self.work / "fault"
        self.env = dict(os.environ)
        if options.faults:
            self.env.update(KILN_LANE_SILENCE_S=str(LANE_SILENCE_S), KILN_FAULT_FILE=str(self.fault),
                            LD_PRELOAD=str(pathlib.Path(options.faults).resolve()))

    def start(self, name, *words):
        log = open(self.out / f"{name}.log", "a")
        process = subprocess.Popen([self.kiln, "-v", *words], stdout=log, stderr=log, env=self.env)
        self.processes.append(process)
        return process

    def ask(self, *words):
        done = subprocess.run([self.kiln, "--json", *words, "--state", str(self.work / "coordinator")],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{words}: {done.returncode} {done.stdout[-500:]} {done.stderr[-500:]}")
        return json.loads(done.stdout)

    def start_coordinator(self):
        return self.start("coordinator", "coordinator", "--listen", f"tcp://127.0.0.1:{self.port}", "--state",
                          str(self.work / "coordinator"))

    def begin(self, device):
        self.start_coordinator()
        notice = self.work / "coordinator" / "coordinator.json"
        until = time.monotonic() + 30
        while not notice.exists():
            if time.monotonic() > until:
                raise RuntimeError("the coordinator does not start")
            time.sleep(0.05)
        endpoint = json.loads(notice.read_text())["endpoint"]
        common = ["worker", "--coordinator", endpoint, "--python", sys.executable]
        self.start("cpu", *common, "--name", "cpu", "--pool", "cpu", "--lanes", "2", "--state", str(self.work / "cpu"))
        self.start("card", *common, "--name", "card", "--pool", "card", "--device", device, "--state", str(self.work / "card"))

    def submit(self, name, pool, executor, precision="auto", repeats=1):
        clips = "".join(f'[[clip]]\nsource = "{self.clip}"\noutput = "{name}-{i}.mkv"\n' for i in range(repeats))
        file = self.work / f"{name}.toml"
        file.write_text(f'title = "{name}"\nmodel = "{self.package}"\npool = "{pool}"\nexecutor = "{executor}"\nprecision = "{precision}"\n'
                        f'codec = "ffv1"\n{clips}')
        return self.ask("submit", str(file))["job"]

    def finish(self, name, job):
        started = time.monotonic()
        status = self.ask("watch", job)
        self.ask("fetch", job, "-o", str(self.work))
        self.results[name] = {"seconds": round(time.monotonic() - started, 2), "state": status["state"],
                              "frames": status["frames_done"], "compiles": status["compiles"],
                              "compile_s": status["compile_s"], "attempts_failed": status["attempts_failed"],
                              "lanes_lost": status["lanes_lost"],
                              "compiled": sum(s["frames_compiled"] for c in status["clips"] for s in c["segments"]),
                              "segments": [s["last"] - s["first"] for s in status["clips"][0]["segments"]]}

    def frames(self, name):
        raw = subprocess.run([str(self.root / "bin" / "ffmpeg"), "-v", "error", "-nostdin", "-i",
                              str(self.work / f"{name}.mkv"), "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
        return np.frombuffer(raw, np.uint8).astype(np.int16)

    def compare(self, left, right):
        a, b = self.frames(left), self.frames(right)
        difference = np.abs(a - b) if a.shape == b.shape else None
        self.results[f"{left} against {right}"] = "other shapes" if difference is None else {
            "largest": int(difference.max()), "share_that_differs": round(float((difference > 0).mean()), 6),
            "psnr_db": psnr_db(difference)}

    def rendering_lane(self, job):
        """The process of the card's lane, as soon as frames of the job are done."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            children = subprocess.run(["pgrep", "-P", str(self.processes[2].pid), "kiln-lane"], capture_output=True,
                                      text=True, check=False).stdout.split()
            if children and self.ask("status", job)["frames_done"] > 0:
                return int(children[0])
            time.sleep(0.05)
        raise RuntimeError(f"{job} does not begin")

    def card_fault(self, kernel):
        whole = self.fault.with_suffix(".new")
        whole.write_text(kernel)
        whole.rename(self.fault)

    def lose_the_coordinator(self):
        self.processes[0].kill()
        self.processes[0].wait()
        time.sleep(COORDINATOR_AWAY_S)
        again = self.start_coordinator()
        self.processes.remove(again)
        self.processes[0] = again

    def job_with(self, name, fault, repeats=6):
        """A job in the middle of which the fault comes, against one that was left alone."""
        job = self.submit(name, "card", "compiled", repeats=repeats)
        fault(self.rendering_lane(job))
        self.finish(name, job)
        self.compare(f"{name}-1", "compiled-half-0")

    def end(self):
        for process in reversed(self.processes):
            process.terminate()
        codes = []
        for process in reversed(self.processes):
            try:
                codes.append(process.wait(30))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append("killed")
        self.results["exit codes"] = codes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--faults")
    options = parser.parse_args()
    farm = Farm(options)
    try:
        farm.begin(options.device)
        jobs = {"on-cpu": farm.submit("on-cpu", "cpu", "compiled"),
                "float32": farm.submit("float32", "card", "uncompiled", "float32"),
                "compiled-float32": farm.submit("compiled-float32", "card", "compiled", "float32"),
                "half": farm.submit("half", "card", "uncompiled"), "compiled-half": farm.submit("compiled-half", "card", "compiled")}
        for name, job in jobs.items():
            farm.finish(name, job)
        for pair in (("on-cpu", "float32"), ("compiled-float32", "float32"), ("compiled-half", "half"), ("half", "float32")):
            farm.compare(f"{pair[0]}-0", f"{pair[1]}-0")
        farm.job_with("killed", lambda lane: os.kill(lane, signal.SIGKILL))
        if options.faults:
            farm.job_with("hung", lambda lane: os.kill(lane, signal.SIGSTOP))
            if options.device != "cpu":
                farm.job_with("lost-context", lambda lane: farm.card_fault("trap"))
                farm.job_with("hung-kernel", lambda lane: farm.card_fault("spin"))
            farm.job_with("no-coordinator", lambda lane: farm.lose_the_coordinator())
        farm.results["workers"] = farm.ask("workers")["workers"]
    except Exception as error:  # what was seen so far is worth having
        farm.results["error"] = repr(error)
    finally:
        farm.end()
        text = json.dumps(farm.results, indent=1)
        (farm.out / "farm.json").write_text(text)
        print(text)


if __name__ == "__main__":
    main()
