"""Tasks a second of Kiln's coordinator and of HyperQueue, on the same machine in turn.

    python3 -m venv VENV && VENV/bin/pip install hyperqueue
    build/release/venv/bin/python tests/bench/hyperqueue_rate.py --hyperqueue-python VENV/bin/python [--tasks 20000]

Kiln: `kiln coordinator` with its journal on, and build/release/bench/farm_rate, a worker of many lanes that do nothing, over real
sockets. HyperQueue 0.27: its Python package, whose server and worker are threads of the process that loads it, and speak over
sockets too; it keeps no journal. A worker that starts nothing does not come with the package: each of its tasks is a process
`true` without output, so the same number of such processes, started one after another by a plain loop, is measured beside it as
the floor. CPU is that of the coordinator alone for Kiln, and of the process with server and worker, its tasks not counted,
for HyperQueue. Prints JSON."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

PEER_DEADLINE_S = 600


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# ---- under the Python that has HyperQueue ----


def hyperqueue(tasks: int, cores: int) -> dict:
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with tempfile.TemporaryDirectory() as folder, LocalCluster(server_dir=folder) as cluster:
        cluster.start_worker(WorkerConfig(cores=cores))
        client = cluster.client()

        def run(count: int) -> dict:
            job = Job(default_workdir=folder)
            for _ in range(count):
                job.program(["true"], stdout=None, stderr=None)
            cpu_s, started = own_cpu_s(), time.perf_counter()
            client.wait_for_jobs([client.submit(job)])
            seconds = time.perf_counter() - started
            return {"tasks": count, "seconds": seconds, "tasks_per_second": count / seconds,
                    "server_and_worker_cpu_ms_per_task": (own_cpu_s() - cpu_s) * 1000 / count}

        run(100)
        return run(tasks)


# ---- here ----


def kiln(tasks: int, lanes: int) -> dict:
    from bench_farm import Farm, fixtures

    with Farm() as farm:
        coordinator = farm.start_coordinator()
        done = subprocess.run([str(fixtures.BINARY / "bench" / "farm_rate"), farm.endpoint, str(tasks), str(lanes),
                               str(coordinator.pid)], capture_output=True, text=True, check=True, timeout=PEER_DEADLINE_S)
        return json.loads(done.stdout)


def processes_a_second(count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)
    return count / (time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hyperqueue-python", help="an interpreter with the package hyperqueue")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--lanes", type=int, default=256, help="of Kiln's worker")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="that HyperQueue's worker says it has")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(hyperqueue(options.tasks, options.cores)))
        return 0
    if not options.hyperqueue_python:
        parser.error("--hyperqueue-python is needed")
    rounds = []
    for _ in range(options.rounds):
        ours = kiln(options.tasks, options.lanes)
        peer = subprocess.run([options.hyperqueue_python, __file__, "--peer", "--tasks", str(options.tasks), "--cores",
                               str(options.cores)], capture_output=True, text=True, check=True, timeout=PEER_DEADLINE_S)
        theirs = json.loads(peer.stdout.splitlines()[-1])
        floor = processes_a_second(min(options.tasks, 2000))
        rounds.append({"kiln": ours, "hyperqueue": theirs, "processes_a_second": floor,
                       "ratio": ours["tasks_per_second"] / theirs["tasks_per_second"],
                       "cpu_ratio": ours["coordinator_cpu_ms_per_task"] / theirs["server_and_worker_cpu_ms_per_task"]})
        print(f"Kiln {ours['tasks_per_second']:.0f} tasks a second, HyperQueue {theirs['tasks_per_second']:.0f}, "
              f"plain processes {floor:.0f}", file=sys.stderr, flush=True)
    print(json.dumps({"rounds": rounds}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
