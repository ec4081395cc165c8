"""A farm of real processes on this machine for the benches: coordinator, workers on cores of their choice, client."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
os.environ.setdefault("KILN_SOURCE_DIR", str(HERE.parents[1]))

import fixtures  # noqa: E402
import journal_facts  # noqa: E402
import processes  # noqa: E402
from farm_case import free_port  # noqa: E402

START_DEADLINE_S = 60
CALL_DEADLINE_S = 60
STOP_DEADLINE_S = 60
SPAN_NAME = re.compile(r"clip (\d+) frames (\d+) to (\d+)")


class Farm:
    def __init__(self, folder: Path | None = None):
        fixtures.ROOT.mkdir(parents=True, exist_ok=True)
        self.folder = folder or Path(tempfile.mkdtemp(prefix="bench-", dir=fixtures.ROOT))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "coordinator"
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.started: list[tuple[subprocess.Popen, Path]] = []
        self.submitted = 0

    def __enter__(self) -> Farm:
        return self

    def __exit__(self, kind, *_) -> None:
        for process, log in reversed(self.started):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_DEADLINE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if kind is not None:
                print(f"---- {' '.join(process.args[:4])}\n{log.read_text()[-2000:]}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, command: list[object], **options) -> subprocess.Popen:
        log = self.folder / f"stderr-{len(self.started)}"
        with open(log, "w") as err:
            process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                                       start_new_session=True, env=fixtures.environment(), **options)
        self.started.append((process, log))
        return process

    def start_coordinator(self, *flags: object) -> subprocess.Popen:
        process = self.spawn([fixtures.KILN, "coordinator", "--state", self.state, "--listen", self.endpoint, *flags])
        processes.wait_for("the coordinator's doors",
                           lambda: process.poll() is not None or self.notice().get("pid") == process.pid, START_DEADLINE_S)
        return process

    def notice(self) -> dict:
        try:
            return json.loads((self.state / "coordinator.json").read_text())
        except FileNotFoundError:
            return {}

    def start_worker(self, name: str, *flags: object, core: int | None = None, **options) -> subprocess.Popen:
        """Bound to that core with everything that it starts; it counts when the coordinator has it."""
        bound = [] if core is None else ["taskset", "-c", core]
        process = self.spawn([*bound, fixtures.KILN, "worker", "--coordinator", self.endpoint, "--state", self.folder / name,
                              "--name", name, "--threads-per-lane", 1, *flags], **options)

        def there() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"worker {name} ended with {process.returncode}")
            return any(one["worker"] == name and one["connected"] for one in self.ask("workers")["workers"])

        processes.wait_for(f"worker {name}", there, START_DEADLINE_S)
        return process

    def stop(self, process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_DEADLINE_S)

    # ---- clients ----

    def call(self, *arguments: object, deadline_s: float = CALL_DEADLINE_S) -> subprocess.CompletedProcess:
        command = [str(fixtures.KILN), *map(str, arguments), "--state", str(self.state), "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=deadline_s, check=False,
                              stdin=subprocess.DEVNULL, env=fixtures.environment())

    def ask(self, *arguments: object, **options) -> dict:
        done = self.call(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(f"kiln {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def submit(self, package: Path, sources: list[Path], **keys: object) -> str:
        lines = [f"model = {json.dumps(str(package))}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        for source in sources:
            lines += ["[[clip]]", f"source = {json.dumps(str(source))}"]
        path = self.folder / f"job-{self.submitted}.toml"
        self.submitted += 1
        path.write_text("\n".join(lines) + "\n")
        return self.ask("submit", path)["job"]

    def watch(self, job: str, deadline_s: float) -> dict:
        """The job's last status, whatever it is."""
        return json.loads(self.call("watch", job, deadline_s=deadline_s).stdout)

    def finish(self, job: str, deadline_s: float = 900) -> dict:
        status = self.watch(job, deadline_s)
        if status["state"] != "done":
            raise AssertionError(f"{job}: {status['state']}: {status['reason']}")
        return status

    def segments(self, job: str) -> list[dict]:
        """Good attempts at segments, by their start: worker, lane, frames, start_s, end_s."""
        found = []
        for event in self.ask("trace", job)["traceEvents"]:
            name = SPAN_NAME.fullmatch(event["name"])
            if name is None or event["ph"] != "X" or event["args"]["outcome"] != "done":
                continue
            found.append({"worker": event["pid"], "frames": int(name[3]) - int(name[2]) + 1, "task": event["args"]["task"],
                          "start_s": event["ts"] / 1e6, "end_s": (event["ts"] + event["dur"]) / 1e6})
        workers = {event["pid"]: event["args"]["name"] for event in self.ask("trace", job)["traceEvents"] if event["ph"] == "M"}
        for one in found:
            one["worker"] = workers[one["worker"]]
        return sorted(found, key=lambda one: one["start_s"])

    def metrics(self, address: str | None = None) -> dict[str, float]:
        """Of the coordinator, or of another server; names with their labels."""
        with urllib.request.urlopen((address or self.notice()["http"]) + "/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def facts(self) -> list[dict]:
        return journal_facts.read(self.state / "journal", fixtures.BINARY)


def ffmpeg(*arguments: object, deadline_s: float = 1800) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)], check=True, timeout=deadline_s)


def wait_until(what: str, condition, deadline_s: float) -> object:
    """As of the tests, but looking twice a second: a bench measures the farm, not who looks at it."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        if answer := condition():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"waited {deadline_s:g} s for {what}")
