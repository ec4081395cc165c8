"""README's own commands, as they stand there. They run in a network of their own, which has the addresses and the ports that
they name; each block in a folder of its own, with `kiln` on the path and settings from the environment alone. What cannot
run here stands in a list with its reason, and a command that is in neither fails the test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import clips
import fixtures
import islands
import processes
from kiln_case import KilnCase, Run

README = (fixtures.SOURCE / "README.md").read_text(encoding="utf-8")
FRAMES = 12
LINE_DEADLINE_S = 180
COORDINATORS_ADDRESS = "192.168.1.10/24"
# Which test runs the blocks of which heading, in their order.
RUN = {
    "Use it": ["ReadmeTest.test_use_it"],
    "On several machines": ["ReadmeFarmTest.test_on_one_machine", "ReadmeFarmTest.test_between_machines"],
    "With mpirun": ["ReadmeMpiTest.test_with_mpirun"],
}
NOT_HERE = {
    "./scripts/demo": "it is a test of its own, Demo.UpscalesTheClipAndCompilesOnce",
    "./scripts/test": "it runs this test",
    "sbatch configs/slurm/kiln.sbatch job.toml results": "there is no Slurm; SlurmScriptTest runs the script itself",
    "docker compose build && docker compose up -d": "there is no container engine; ComposeTest runs the services' commands",
    "kiln import module pkg.mod:factory -o PACKAGE": "names stand for a user's own; the packages of these tests are made by it",
    "kiln import diffusers Wan2.1-T2V-1.3B-Diffusers -o wan-1.3b": "a model of gigabytes; tests import small ones",
    'kiln run generate --model wan-1.3b --prompt "a fox runs over a hill" --size 832x480 --frames 81 --steps 30 --cfg 6 --shift 5 '
    "--seed 1 -o fox.mp4": "likewise; GenerateTest runs it with small models",
    "scripts/bundle": "a test of its own, Bundle",
    **{f"kiln run upscale clip.mp4 -o {rest}": "there is no card; tests/gpu/readme_run.py runs them where there is one" for rest in (
        "on-cards.mp4 --model realesr-animevideov3 --device cuda",
        "on-one.mp4 --model realesr-animevideov3 --device cuda:0",
        "in-2gib.mp4 --model realesr-animevideov3 --device cuda:0 --vram-cap 2GiB")},
    "kiln run upscale": "the name of a command",
    "kiln run": "the name of a command",
}
# In running text, and run beside the blocks.
RUN_IN_TEXT = {"kiln config check", "kiln config dump", "kiln explain JOB"}
COMMAND_IN_TEXT = re.compile(r"`((?:kiln|docker|sbatch|mpirun|\./scripts/|scripts/)[^`]*)`")
COMMENT = re.compile(r"\s+# .*$")


def blocks(heading: str) -> list[list[str]]:
    """The commands of each block of a heading, without what is said behind them."""
    [section] = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    return [[COMMENT.sub("", line) for line in block.splitlines()] for block in re.findall(r"^```sh\n(.*?)^```", section,
                                                                                           re.MULTILINE | re.DOTALL)]


class ReadmeCase(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = self.folder / "home"
        self.home.mkdir()
        self.prefix: list[str] = []

    def environment(self) -> dict[str, str]:
        return {**fixtures.environment(), "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home),
                "KILN_EXECUTOR": "uncompiled",  # compiling is what other tests wait for
                "PATH": f"{fixtures.KILN.parent}:{os.environ['PATH']}", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}

    def type(self, line: str) -> Run:
        """At a prompt."""
        run = self.run_command([*self.prefix, "bash", "-c", line], LINE_DEADLINE_S, env=self.environment(), cwd=self.folder)
        self.assertEqual(run.code, 0, f"{line}\n{run.out}\n{run.err}")
        return run

    def leave_running(self, line: str) -> subprocess.Popen:
        return self.start_command([*self.prefix, "bash", "-c", f"exec {line.removesuffix('&')}"], env=self.environment(),
                                  cwd=self.folder)

    def job_file(self, name: str = "in.mp4") -> None:
        clips.make(self.folder / name, frames=FRAMES, rate="25")
        (self.folder / "job.toml").write_text(
            f'model = "{fixtures.package(self.network)}"\nexecutor = "uncompiled"\ncodec = "ffv1"\n'
            f'[[clip]]\nsource = "{name}"\n')

    def check_result(self, path: Path) -> None:
        self.assertEqual(len(clips.frame_hashes(path)), FRAMES)


class ReadmeTest(ReadmeCase):
    def test_every_command_runs_here_or_is_listed_with_its_reason(self):
        headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
        seen = set()
        for heading in headings:
            found = blocks(heading)
            self.assertEqual(len(RUN.get(heading, [])) or len(found), len(found), f"blocks of '{heading}'")
            if heading not in RUN:
                seen |= {line for block in found for line in block}
        for tests in RUN.values():
            for test in tests:
                group, name = test.split(".")
                self.assertTrue(hasattr(globals()[group], name), test)
        seen |= {line for heading in RUN for block in blocks(heading) for line in block if line in NOT_HERE}
        seen |= set(COMMAND_IN_TEXT.findall(re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)))
        self.assertEqual(seen - set(NOT_HERE) - RUN_IN_TEXT, set(), "neither run nor listed")
        self.assertEqual((set(NOT_HERE) | RUN_IN_TEXT) - seen, set(), "listed, and not in README")

    def test_use_it(self):
        (self.folder / "build/release").mkdir(parents=True)
        (self.folder / "build/release/bin").symlink_to(fixtures.KILN.parent)
        self.make_checkpoint(self.folder / "RealESRGAN.pth")
        clips.make(self.folder / "clip.mkv", frames=FRAMES, rate="25")
        [lines] = blocks("Use it")
        for line in lines:
            self.type(line)
        self.check_result(self.folder / "large.mkv")
        self.type("kiln config check")
        self.type("kiln config dump")

    def make_checkpoint(self, path: Path) -> None:
        """A small network of the architecture that README's name stands for."""
        script = ("import sys, torch, networks; network = next(n for n in networks.NETWORKS if n.name == 'compact'); "
                  "torch.save(networks.build(network).state_dict(), sys.argv[1])")
        fixtures.run([fixtures.PYTHON, "-c", script, str(path)], LINE_DEADLINE_S, cwd=fixtures.SOURCE / "tests/models")


class ReadmeFarmTest(ReadmeCase):
    def setUp(self) -> None:
        super().setUp()
        if reason := islands.why_impossible():
            self.skipTest(reason)
        places = islands.Islands(fixtures.ROOT, ["farm"])
        self.addCleanup(places.close)
        self.prefix = places.command("farm", None, [])
        self.type(f"ip address add {COORDINATORS_ADDRESS} dev eth0")
        self.job_file()

    def test_on_one_machine(self):
        lines = blocks("On several machines")[0]
        servers = [self.leave_running(line) for line in lines if line.endswith("&")]
        submit, fetch = [line for line in lines if not line.endswith("&")]
        said = self.type(submit)
        [job] = set(re.findall(r"\bjob-[a-z0-9]+\b", said.out))
        self.type(re.sub(r"\bJOB\b", job, fetch))
        self.check_result(self.folder / "results/in_up.mkv")
        self.type(f"kiln explain {job} --state farm")
        for server in servers:
            self.assertIsNone(server.poll(), self.said(server))

    def test_between_machines(self):
        """Those that stay are on machines of their own: nobody types behind them."""
        lines = blocks("On several machines")[1]
        stays = re.compile(r"kiln (coordinator|worker)\b")
        self.assertEqual(len([line for line in lines if stays.match(line)]), 2)
        for line in lines:
            if stays.match(line):
                self.leave_running(line)
            else:
                said = self.type(line)
        self.assertIn("done", said.out)


@unittest.skipUnless(shutil.which("mpirun") and fixtures.KILN.with_name("libkiln_mpi.so").exists(), "there is no Open MPI here")
class ReadmeMpiTest(ReadmeCase):
    def test_with_mpirun(self):
        self.job_file()
        [lines] = blocks("With mpirun")
        for line in lines:
            if line not in NOT_HERE:
                self.type(line)
        self.check_result(self.folder / "results/in_up.mkv")
        processes.wait_for("all ranks to end", lambda: not processes.tied_to(str(self.folder)), 20)


if __name__ == "__main__":
    unittest.main()
