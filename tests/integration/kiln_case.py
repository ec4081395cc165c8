"""The base of the tests that run the real programs: a folder for each test, one way to call `kiln`, and what every run
has to keep to: one line on stderr for an error, one JSON value on stdout with --json."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

import fixtures
import processes

RUN_DEADLINE_S = 120


@dataclass
class Run:
    code: int
    out: str
    err: str

    def report(self) -> dict:
        return json.loads(self.out)


class KilnCase(unittest.TestCase):
    network = "double"

    def setUp(self) -> None:
        fixtures.ROOT.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=fixtures.ROOT))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.state = self.folder / "state"
        self.started: list[subprocess.Popen] = []
        self.addCleanup(self._end_started)

    def _end_started(self) -> None:
        for command in self.started:
            if command.poll() is None:
                command.kill()
                command.wait()
            command.stdout.close()

    # ---- calling kiln ----

    def arguments(self, sources, output, *flags: object, network: str | None = None, state: Path | None = None,
                  report: tuple[str, ...] = ("--json",)):
        listed = sources if isinstance(sources, list | tuple) else [sources]
        package = network if isinstance(network, Path) else fixtures.package(network or self.network)
        return [str(fixtures.KILN), "run", "upscale", *map(str, listed), "-o", str(output), "--model", str(package),
                "--state", str(state or self.state), *report, *map(str, flags)]

    def run_command(self, arguments: list[str], deadline_s: float = RUN_DEADLINE_S, **options) -> Run:
        options.setdefault("env", fixtures.environment())
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=deadline_s, check=False,
                              stdin=subprocess.DEVNULL, **options)
        return Run(done.returncode, done.stdout, done.stderr)

    def upscale(self, sources, output, *flags: object, executor: str = "uncompiled", network=None, state=None,
                **options) -> dict:
        """Runs to a good end and returns the report."""
        arguments = self.arguments(sources, output, "--executor", executor, *flags, network=network, state=state)
        run = self.run_command(arguments, **options)
        self.assertEqual(run.code, 0, f"{' '.join(arguments)}\n{run.out}\n{run.err}")
        return run.report()

    def start(self, sources, output, *flags: object, executor: str = "uncompiled", network=None, state=None,
              report: tuple[str, ...] = ("--json",), **options) -> subprocess.Popen:
        arguments = self.arguments(sources, output, "--executor", executor, *flags, network=network, state=state,
                                   report=report)
        return self.start_command(arguments, **options)

    def start_command(self, arguments: list[str], **options) -> subprocess.Popen:
        """Starts, as a terminal would: a process group of its own."""
        options.setdefault("env", fixtures.environment())
        with open(self.folder / f"stderr-{len(self.started)}", "w") as err:
            command = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True,
                                       start_new_session=True, **options)
        self.started.append(command)
        return command

    def said(self, command: subprocess.Popen) -> str:
        """What it has written on stderr so far."""
        return (self.folder / f"stderr-{self.started.index(command)}").read_text()

    def finish(self, command: subprocess.Popen, deadline_s: float = RUN_DEADLINE_S) -> Run:
        try:
            out, _ = command.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self.fail(f"not at its end after {deadline_s} s; it said:\n{self.said(command)}\n"
                      f"and these run:\n{processes.table()}")
        return Run(command.returncode, out, self.said(command))

    # ---- what must hold ----

    def refused(self, run: Run, code: int, *words: str) -> str:
        """The run ended with that code and one line that holds the words; returns the line."""
        self.assertEqual(run.code, code, f"{run.out}\n{run.err}")
        lines = run.err.splitlines()
        self.assertEqual(len(lines), 1, f"not one line on stderr:\n{run.err}")
        self.assertTrue(lines[0].startswith("kiln: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])
        error = json.loads(run.out)["error"]
        self.assertEqual(error["exit_code"], code)
        self.assertEqual("kiln: " + error["message"], lines[0])
        return lines[0]

    def refuse(self, code: int, words, sources, output, *flags: object, executor: str = "uncompiled", network=None,
               state=None, **options) -> str:
        arguments = self.arguments(sources, output, "--executor", executor, *flags, network=network, state=state)
        listed = [words] if isinstance(words, str) else words
        line = self.refused(self.run_command(arguments, **options), code, *listed)
        self.assert_nothing_at(output)
        return line

    def assert_nothing_at(self, output) -> None:
        """Neither the output nor anything half-written beside it."""
        parent = Path(output).parent
        left = [entry.name for entry in parent.iterdir()
                if entry.name.startswith(".kiln-") or entry.name == Path(output).name] if parent.is_dir() else []
        self.assertEqual(left, [])

    def assert_all_gone(self, folder: Path, watched=()) -> None:
        """No process is left of the commands that worked in that folder."""
        def gone() -> bool:
            return not processes.tied_to(str(folder)) and not any(process.alive() for process in watched)

        try:
            processes.wait_for("all processes to end", gone, 20)
        except AssertionError:
            left = [*processes.tied_to(str(folder)), *(p for p in watched if p.alive())]
            self.fail("still there: " + "; ".join(f"{p.pid} {p.command()[:200]}" for p in left))

    def wait_for_part(self, command: subprocess.Popen) -> None:
        """A lane is in the middle of a segment: its encoder writes, so a frame was rendered."""
        processes.wait_for("a segment to begin", lambda: command.poll() is not None or self.encoders(command))
        self.assertIsNone(command.poll(), "the command ended before it could be disturbed")

    def encoders(self, command: subprocess.Popen) -> list[processes.Process]:
        return processes.named(command.pid, "ffmpeg", "/segment")

    def lanes(self, command: subprocess.Popen) -> list[processes.Process]:
        return processes.named(command.pid, "kiln-lane", "--channel")

    @staticmethod
    def interrupt(command: subprocess.Popen) -> None:
        """Ctrl-C at the terminal: everyone in the foreground group gets it."""
        os.killpg(command.pid, signal.SIGINT)
