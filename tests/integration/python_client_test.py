"""python/kiln_client.py, which knows the protocol and nothing else of Kiln, against a real farm."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import unittest
from pathlib import Path

import clips
import fixtures
from farm_case import JOB_DEADLINE_S, FarmCase, free_port
from kiln_case import Run

PYTHON = "/usr/bin/python3"  # Debian's, which has pyzmq and protobuf
FRAMES = 30
IMAGES = 3
# Each archive that is named into a folder of its own; what became of it.
UNPACK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import kiln_client as client
for archive in map(Path, sys.argv[2:]):
    folder = archive.with_suffix("")
    folder.mkdir()
    try:
        print(*client.unpack_images(archive, folder, client.image_names("f_%03d.png")))
    except client.KilnError as error:
        print(error.code)
"""

# Each command line of the client; [exit code, what it said] of each.
CLIENTS = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
import kiln_client as client
out = []
for sys.argv in json.loads(sys.argv[2]):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        out.append([client.main(), said.getvalue()])
print(json.dumps(out))
"""


class PythonClientTest(FarmCase):
    def client(self, *arguments: object, endpoint: str | None = None) -> Run:
        command = [PYTHON, str(fixtures.BINARY / "python" / "kiln_client.py"), "--coordinator", endpoint or self.endpoint,
                   *map(str, arguments)]
        return self.run_command(command, JOB_DEADLINE_S, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    def submit_arguments(self, *more: object) -> list[object]:
        return ["submit", "--model", fixtures.package(self.network), "--executor", "uncompiled", "--codec", "ffv1", *more]

    def done(self, run: Run) -> str:
        self.assertEqual(run.code, 0, run.err)
        return run.out.strip()

    def ends_with(self, run: Run, code: int, *words: str) -> None:
        self.assertEqual(run.code, code, run.err)
        [line] = run.err.splitlines()
        for word in ("kiln_client: ", *words):
            self.assertIn(word, line)

    def test_clip_is_submitted_watched_and_fetched(self):
        self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25", sound=True)
        output, alone = self.folder / "out.mkv", self.folder / "alone.mkv"
        job = self.done(self.client(*self.submit_arguments(source, "-o", output)))
        self.upscale(source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        self.assertEqual(clips.frame_hashes(output), clips.frame_hashes(alone))
        self.assertEqual(self.ask("status", job)["state"], "done")
        self.done(self.client("watch", job))
        self.assertEqual(self.client("fetch", job, "-o", output).code, 73)
        self.done(self.client("fetch", job, "-o", output, "--overwrite"))

    def test_images_of_a_sequence_are_unpacked(self):
        self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "in.mp4", frames=IMAGES, rate="25")
        file = self.job_file(source, codec="png")
        file.write_text(file.read_text() + 'output = "f_%06d.png"\n')
        job = self.ask("submit", file)["job"]
        self.finish_job(job)
        self.ends_with(self.client("fetch", job, "-o", self.folder / "f.png"), 73, "folder")
        ours, theirs = self.folder / "ours", self.folder / "theirs"
        for folder in (ours, theirs):
            folder.mkdir()
        self.done(self.client("fetch", job, "-o", ours))
        self.done(self.kiln("fetch", job, "-o", theirs))
        images = {path.name: path.read_bytes() for path in ours.iterdir()}
        self.assertEqual(sorted(images), [f"f_{number:06d}.png" for number in range(1, IMAGES + 1)])
        self.assertEqual(images, {path.name: path.read_bytes() for path in theirs.iterdir()})
        self.ends_with(self.client("fetch", job, "-o", ours), 73, "--overwrite")
        for folder, fetch in ((ours, self.client), (theirs, self.kiln)):
            (folder / "f_000099.png").write_text("of a longer sequence")
            self.done(fetch("fetch", job, "-o", folder, "--overwrite"))
            self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, images)

    def test_names_may_be_as_long_as_names_can_be(self):
        self.start_coordinator()
        self.start_worker()
        job = self.done(self.client(*self.submit_arguments(clips.make(self.folder / "in.mp4", frames=2, rate="25"))))
        self.finish_job(job)
        for fetch, letter in ((self.client, "a"), (self.kiln, "b")):
            output = self.folder / (letter * (255 - len(".mkv")) + ".mkv")
            self.done(fetch("fetch", job, "-o", output))
            self.assertEqual(len(clips.frame_hashes(output)), 2)

    def archive(self, name: str, *members: str | tarfile.TarInfo, cut: int = 0) -> Path:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for member in members:
                entry = tarfile.TarInfo(member) if isinstance(member, str) else member
                entry.size = 5 if entry.isreg() else 0
                archive.addfile(entry, io.BytesIO(b"image"))
        path = self.folder / f"{name}.tar"
        path.write_bytes(data.getvalue()[:cut or None])
        return path

    def test_archives_that_hold_anything_but_images_of_the_sequence_are_refused(self):
        link = tarfile.TarInfo("f_001.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bad = [self.archive("above", "../f_001.png"), self.archive("absolute", str(self.folder / "f_001.png")),
               self.archive("link", link), self.archive("other", "f_001.png", "Makefile"), self.archive("few", "f_01.png"),
               self.archive("twice", "f_001.png", "f_001.png"), self.archive("cut", "f_001.png", cut=514)]
        good = self.archive("good", "f_001.png", "f_1000.png")
        command = [PYTHON, "-B", "-c", UNPACK, str(fixtures.BINARY / "python"), *map(str, [*bad, good])]
        self.assertEqual(self.done(self.run_command(command)).split("\n"), ["65"] * len(bad) + ["f_001.png f_1000.png"])
        self.assertFalse((self.folder / "f_001.png").exists())

    def test_job_without_workers_is_cancelled(self):
        self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        job = self.done(self.client(*self.submit_arguments(source)))
        self.done(self.client("cancel", job))
        run = self.client("watch", job)
        self.assertEqual(run.code, 1)
        self.assertIn("cancelled", run.err)
        self.assertEqual(self.client("fetch", job, "-o", self.folder / "x.mkv").code, 1)

    def test_errors_are_one_line_with_the_exit_codes_of_kiln(self):
        run = self.client("--patience", 3, "cancel", "nope", endpoint=f"tcp://127.0.0.1:{free_port()}")
        self.assertEqual(run.code, 4)
        self.assertEqual(len(run.err.splitlines()), 1)
        self.start_coordinator()
        run = self.client("cancel", "nope")
        self.assertEqual(run.code, 3)
        self.assertIn("nope", run.err)
        self.assertEqual(self.client(*self.submit_arguments(self.folder / "none.mp4")).code, 66)
        self.assertEqual(self.client("cancel", "No Job").code, 2)

    def clients(self, *runs: list[object]) -> list[Run]:
        """Several commands of the client, one after the other in one process."""
        given = json.dumps([["kiln_client", "--coordinator", *map(str, run)] for run in runs])
        out = self.done(self.run_command([PYTHON, "-B", "-c", CLIENTS, str(fixtures.BINARY / "python"), given]))
        return [Run(code, "", err) for code, err in json.loads(out)]

    def test_file_alone_says_what_it_needs(self):
        alone = self.folder / "alone"
        alone.mkdir()
        shutil.copy(fixtures.BINARY / "python" / "kiln_client.py", alone)
        run = self.run_command([PYTHON, str(alone / "kiln_client.py"), "--help"], JOB_DEADLINE_S)
        self.assertEqual(run.code, 1, run.err)
        self.assertEqual(len(run.err.splitlines()), 1, run.err)
        self.assertIn("kiln_pb2.py beside it", run.err)

    def test_bad_keys_and_addresses_end_as_with_kiln(self):
        key, binary, none = self.folder / "k.key", self.folder / "binary", self.folder / "none"
        public = self.done(self.run_command([str(fixtures.KILN), "keygen", str(key)]))
        binary.write_bytes(bytes(range(256)))
        binary.chmod(0o600)
        cases = [
            ("tcp://HOST:PORT", 2, ["foo"]),
            ("tcp://HOST:PORT", 2, ["tcp://127.0.0.1:1x"]),
            ("short", 78, [self.endpoint, "--key", key, "--coordinator-key", "short"]),
            ("neither", 78, [self.endpoint, "--key", key, "--coordinator-key", binary]),
            ("--coordinator-key", 78, [self.endpoint, "--key", key]),
            ("not a key file", 65, [self.endpoint, "--key", binary, "--coordinator-key", public]),
            ("none", 66, [self.endpoint, "--key", none, "--coordinator-key", public])]
        for (words, code, flags), ours in zip(cases, self.clients(*([*flags, "cancel", "x"] for _, _, flags in cases)), strict=True):
            with self.subTest(flags):
                self.ends_with(ours, code, words)
                self.assertEqual(self.kiln("cancel", "x", "--coordinator", *flags).code, code)

    def test_broken_packages_are_refused_before_anybody_is_asked(self):
        cases = [(None, 66, "no model package"), (b"x = [", 65, "manifest"), (bytes(range(256)), 65, "manifest"),
                 (b"x = " + b"[" * 5000, 65, "manifest"), (b"a = 1", 65, "weights"), (b"weights = 1\ngraph = 2", 65, "weights"),
                 (b'weights = {file = "../key", sha256 = ""}\ngraph = []', 65, "weights"),
                 (b'weights = {file = [1], sha256 = ""}\ngraph = []', 65, "weights")]
        runs = []
        for number, (manifest, _, _) in enumerate(cases):
            package = self.folder / str(number)
            package.mkdir()
            if manifest is not None:
                (package / "manifest.toml").write_bytes(manifest)
            runs.append([self.endpoint, "submit", "--model", package, self.folder / "in.mp4"])
        for (manifest, code, words), run in zip(cases, self.clients(*runs), strict=True):
            with self.subTest(manifest):
                self.ends_with(run, code, words)

    def test_keys_open_the_door(self):
        keys = {}
        for name in ("coordinator", "client", "stranger"):
            keys[name] = self.done(self.run_command([str(fixtures.KILN), "keygen", str(self.folder / f"{name}.key")]))
        allowed = self.folder / "allow.txt"
        allowed.write_text(f"{keys['client']} client ann\n")
        self.start_coordinator("--key", self.folder / "coordinator.key", "--allow", allowed)

        def cancel(name: str) -> int:
            return self.client("--key", self.folder / f"{name}.key", "--coordinator-key", keys["coordinator"], "--patience",
                               3, "cancel", "nope").code

        self.assertEqual(cancel("client"), 3)  # it was heard: there is no such job
        self.assertEqual(cancel("stranger"), 4)
        self.assertEqual(self.client("--patience", 3, "cancel", "nope").code, 4)


if __name__ == "__main__":
    unittest.main()
