"""Compile settings of a job take effect, from the command's flags to the artifact that a lane opens."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

import clips
import fixtures
from kiln_case import KilnCase

COMPILE_DEADLINE_S = 300
FRAMES = 3
SIZE = "32x24"


def compact() -> Path:
    """The package of tests/models that tests in C++ compile too: made once for a build, where these look for it."""
    folders = (fixtures.SOURCE / "python" / "kiln_import", fixtures.SOURCE / "tests" / "models")
    sources = sorted(file for folder in folders for file in folder.glob("*.py"))
    digest = fixtures.digest_of(*sources, fixtures.SOURCE / "python" / "constraints.txt")
    models = Path(os.environ.get("KILN_TEST_FIXTURES") or fixtures.BINARY / "fixtures" / digest)
    package = models / "compact" / "package"
    if not package.exists():
        make = fixtures.SOURCE / "tests" / "models" / "make_fixtures.py"
        fixtures.run([fixtures.PYTHON, str(make), "--out", str(models), "--only", "compact", "--dtype", "float32"],
                     fixtures.IMPORT_DEADLINE_S)
    return package


class CompileModeTest(KilnCase):
    def test_max_autotune_is_compiled_opened_and_right(self):
        source = clips.make(self.folder / "in.mkv", frames=FRAMES, size=SIZE, rate="25")
        package = compact()
        tuned = ("--codec", "ffv1", "--compile-mode", "max-autotune")
        first = self.upscale(source, self.folder / "tuned.mkv", *tuned, network=package, executor="compiled",
                             deadline_s=COMPILE_DEADLINE_S)
        self.assertEqual((first["compiles"], first["store_hits"], first["compile_failures"]), (1, 0, 0))
        self.assertEqual(first["clips"][0]["frames_compiled"], FRAMES)
        graph = self.upscale(source, self.folder / "graph.mkv", "--codec", "ffv1", network=package)
        self.assertEqual(graph["clips"][0]["frames_uncompiled"], FRAMES)
        frames = [clips.raw_frames(self.folder / name) for name in ("tuned.mkv", "graph.mkv")]
        self.assertLessEqual(clips.largest_difference(*frames), 1)
        again = self.upscale(source, self.folder / "again.mkv", *tuned, "--compile-fullgraph", "true", network=package,
                             executor="compiled")
        self.assertEqual((again["compiles"], again["store_hits"]), (0, 1))
        self.assertEqual(again["clips"][0]["artifact_key"], first["clips"][0]["artifact_key"])


class RefusedSettingsTest(KilnCase):
    def test_what_cannot_be_had_is_refused_before_anything_is_begun(self):
        source = self.folder / "in.mkv"
        source.write_bytes(b"nobody looks at it")
        for code, flags, words in ((78, ("--compile-mode", "reduce-overhead"), "use default"),
                                   (2, ("--compile-mode", "max-autotun"), "Did you mean 'max-autotune'?"),
                                   (78, ("--compile-backend", "cudagraphs"), "use inductor"),
                                   (78, ("--compile-dynamic", "true"), "leave it false")):
            self.refuse(code, words, source, self.folder / "out.mkv", *flags)


if __name__ == "__main__":
    unittest.main()
