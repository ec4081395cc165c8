"""docker-compose.yml without a container engine: its services' own command lines, as processes of this machine. Names of
services become this machine, volumes become folders, and every service sees only what is mounted for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unittest
from pathlib import Path

import clips
import fixtures
import processes
from farm_case import JOB_DEADLINE_S, START_DEADLINE_S, FarmCase, free_port
from kiln_case import Run

FRAMES = 40
HERE = "localhost"
DEBIAN_PYTHON = "/usr/bin/python3"  # has python3-yaml
DOCKER = fixtures.SOURCE / "configs" / "docker"


def read_compose() -> dict:
    script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    done = subprocess.run([DEBIAN_PYTHON, "-c", script, str(fixtures.SOURCE / "docker-compose.yml")], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


class Containers:
    """What an engine would make of the file, as far as processes of one machine can."""

    def __init__(self, compose: dict, folder: Path):
        self.services = compose["services"]
        self.folder = folder
        self.ports: dict[str, int] = {}
        for name in compose["volumes"]:
            (folder / name).mkdir(mode=0o700)

    def place(self, service: str, path: str) -> Path:
        """Where a path of a service's container lies here."""
        for mount in self.services[service]["volumes"]:
            source, target = mount.split(":")[:2]
            if path == target or path.startswith(target + "/"):
                return self.folder / source.removeprefix("./") / path[len(target) + 1:]
        own = self.folder / f"container-{service}"
        own.mkdir(exist_ok=True)
        return own / path.removeprefix("/").replace("/", "-")

    def port(self, number: str) -> str:
        return str(self.ports.setdefault(number, free_port()))

    def word(self, service: str, word: str) -> str:
        hosts = "|".join(["0.0.0.0", *self.services])
        word = re.sub(rf"\b({hosts}):(\d+)$", lambda m: f"{HERE if m[1] != '0.0.0.0' else '127.0.0.1'}:{self.port(m[2])}", word)
        return str(self.place(service, word)) if word.startswith("/") else word

    def keys_folder(self) -> Path:
        """`keys` sees all folders of keys below one; here that is a folder of links."""
        folder = self.folder / "keys"
        folder.mkdir()
        for mount in self.services["keys"]["volumes"]:
            source, target = mount.split(":")[:2]
            (folder / Path(target).name).symlink_to(self.folder / source)
        return folder

    def environment(self, service: str) -> dict[str, str]:
        given = self.services[service].get("environment", {})
        return {**fixtures.environment(), **{name: self.word(service, value) for name, value in given.items()}}


class ComposeTest(FarmCase):
    def setUp(self) -> None:
        super().setUp()
        self.compose = read_compose()
        self.containers = Containers(self.compose, self.folder)

    def make_keys(self) -> None:
        service = self.containers.services["keys"]
        script = DOCKER / service["entrypoint"][0]
        folder, *peers = service["command"]
        self.assertEqual(folder, "/keys")
        links = self.containers.keys_folder()
        environment = {**fixtures.environment(), "PATH": f"{fixtures.KILN.parent}:{os.environ['PATH']}"}
        for _ in range(2):  # again with every `docker compose up`: what is there stays
            before = {path: path.read_text() for path in links.glob("*/*")}
            done = self.run_command([str(script), str(links), *peers], env=environment)
            self.assertEqual(done.code, 0, done.err)
            after = {path: path.read_text() for path in links.glob("*/*")}
            self.assertEqual({path: after[path] for path in before}, before)

    def up(self, service: str) -> subprocess.Popen:
        words = [self.containers.word(service, word) for word in self.containers.services[service]["command"]]
        return self.spawn(*words)

    def client(self, *words: str) -> Run:
        environment = self.containers.environment("client")
        command = [str(fixtures.KILN), *(self.containers.word("client", word) for word in words)]
        return self.run_command(command, JOB_DEADLINE_S, env=environment)

    def test_job_runs_through_the_very_command_lines(self):
        self.make_keys()
        started = {name: self.up(name) for name in self.start_order()}
        jobs, results = self.folder / "jobs", self.folder / "results"
        jobs.mkdir()
        results.mkdir()
        source = clips.make(jobs / "in.mp4", frames=FRAMES, rate="25")
        (jobs / "job.toml").write_text(self.job_file(source, segment_frames=10).read_text())
        self.wait_for_workers(2)
        submitted = self.client("submit", "/jobs/job.toml", "--wait", "--json")
        self.assertEqual(submitted.code, 0, submitted.err + "".join(map(self.said, started.values())))
        status = submitted.report()
        fetched = self.client("fetch", status["job"], "-o", "/results")
        self.assertEqual(fetched.code, 0, fetched.err)
        alone = self.folder / "alone.mkv"
        self.upscale(source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        self.assertEqual(clips.frame_hashes(results / "in_up.mkv"), clips.frame_hashes(alone))
        self.check_store_follows_the_coordinator(started["store"])

    def start_order(self) -> list[str]:
        """Services that are started by themselves, behind those that they depend on."""
        order: list[str] = []

        def add(name: str) -> None:
            for needed in self.containers.services[name].get("depends_on", {}):
                add(needed)
            if name not in order:
                order.append(name)

        for name, service in self.containers.services.items():
            if "profiles" not in service:
                add(name)
        order.remove("keys")  # it ends before the others begin
        return order

    def wait_for_workers(self, count: int) -> None:
        def there() -> bool:
            run = self.client("workers", "--json")
            return run.code == 0 and sum(worker["connected"] for worker in run.report()["workers"]) == count

        processes.wait_for(f"{count} workers", there, START_DEADLINE_S)

    def check_store_follows_the_coordinator(self, store: subprocess.Popen) -> None:
        """The list of trusted keys came after the store, which has not said that it cannot read it."""
        trusted = (self.folder / "farm" / "trusted-keys.txt").read_text()
        self.assertEqual(trusted.count("trust "), 2)
        self.assertIn("is not there yet", self.said(store))
        self.assertNotIn("stay as they were", self.said(store))

    def test_every_worker_sees_its_own_key_alone(self):
        for name, service in self.containers.services.items():
            if name in ("keys", "store"):
                continue
            seen = {mount.split(":")[0] for mount in service["volumes"] if mount.startswith("keys-")}
            mine = {f"keys-{name}", "keys-public"} | ({"keys-store"} if name == "coordinator" else set())
            self.assertEqual(seen, mine)
            self.assertNotIn("privileged", service)
        named = {mount.split(":")[0] for service in self.containers.services.values() for mount in service["volumes"]}
        self.assertEqual({name for name in named if not name.startswith(".")}, set(self.compose["volumes"]))


class DockerfileTest(unittest.TestCase):
    def test_what_is_copied_exists_and_services_name_a_dockerfile(self):
        for dockerfile in DOCKER.glob("*.Dockerfile"):
            text = dockerfile.read_text()
            stages = re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE)
            copies = re.findall(r"^(?:COPY|ADD) (.+)$", text, re.MULTILINE)
            self.assertTrue(copies)
            for copy in copies:
                *sources, _ = [word for word in copy.split() if not word.startswith("--")]
                stage = re.match(r"--from=(\S+)", copy)
                if stage:
                    self.assertIn(stage[1], stages)
                    continue
                for source in sources:
                    self.assertTrue((fixtures.SOURCE / source).exists(), f"{dockerfile.name}: COPY {source}")
            for script in re.findall(r"\bscripts/\S+", text):
                self.assertTrue(os.access(fixtures.SOURCE / script, os.X_OK), script)
        for name, service in read_compose()["services"].items():
            self.assertTrue((fixtures.SOURCE / service["build"]["dockerfile"]).is_file(), name)
        ignored = (fixtures.SOURCE / ".dockerignore").read_text().split()
        self.assertFalse([line for line in ignored if line.strip("/") in ("scripts", "configs", "python")])

    def test_volumes_cover_folders_that_the_image_gives_to_its_user(self):
        text = (DOCKER / "kiln.Dockerfile").read_text()
        made = set(re.search(r"for folder in ([^;]+); do", text)[1].replace("\\", " ").split())
        for service in read_compose()["services"].values():
            for mount in service["volumes"]:
                target = mount.split(":")[1].removeprefix("/")
                self.assertTrue(target in made or mount.startswith("./jobs"), mount)


if __name__ == "__main__":
    unittest.main()
