"""The checks of this folder find what they look for: each is run on a small tree with one fault in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from programs import toolkit_paths

HERE = Path(__file__).resolve().parent
LONG = "int f() {\n" + "  g();\n" * 80 + "}\n"


class TidyChecks(unittest.TestCase):
    def check(self, script: str, tree: dict[str, str]) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in tree.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            environment = {**os.environ, "KILN_SOURCE_DIR": folder, "GIT_CEILING_DIRECTORIES": str(Path(folder).parent)}
            done = subprocess.run([sys.executable, HERE / script], env=environment, capture_output=True, text=True,
                                  check=False)
            return done.returncode, done.stdout + done.stderr

    def assert_finds(self, script: str, name: str, text: str, fault: str) -> None:
        tree = {"base/error.h": "#pragma once\n", "base/fd.h": "#pragma once\n", "lane/engine/x.h": "#pragma once\n",
                "worker/w.h": "#pragma once\n", name: text}
        code, said = self.check(script, tree)
        self.assertEqual(code, 1, said)
        self.assertIn(fault, said)

    def test_clean_tree_passes_and_an_empty_one_does_not(self):
        tree = {"base/a.h": "#pragma once\n", "base/a.cc": '#include "base/a.h"\n'}
        for script in ("includes.py", "sizes.py", "words.py"):
            self.assertEqual(self.check(script, tree)[0], 0, script)
            self.assertEqual(self.check(script, {})[0], 1, script)

    def test_includes(self):
        for name, text, fault in (
                ("worker/a.cc", '#include "lane/engine/x.h"\n', "worker/ may include only"),
                ("cli/a.cc", '#include "lane/engine/x.h"\n', "cli/ may include only"),
                ("base/a.cc", '#include "worker/w.h"\n', "base/ may include only base"),
                ("base/a.cc", '#include "error.h"\n', "from the repository's root"),
                ("base/a.cc", '#include "base/gone.h"\n', "no such file"),
                ("worker/a.cc", "#include <ATen/ATen.h>\n", "only lane/ may include this"),
                ("worker/a.cc", "#include <boost/beast.hpp>\n", "only net/ may include this"),
                ("worker/a.cc", '#include "net/kiln.pb.h"\n', "only net/ may include this"),
                ("worker/a.h", "#pragma once\n#include <nlohmann/json.hpp>\n", "belongs in a .cc file"),
                ("lane/media/a.h", "#pragma once\n#include <ATen/core/Tensor.h>\n", "belongs in a .cc file"),
                ("sharding/a.cc", "#include <thread>\n", "a decision does no input"),
                ("sharding/a.cc", '#include "base/fd.h"\n', "a decision does no input"),
                ("coordinator/core/a.cc", "#include <fstream>\n", "a decision does no input"),
                ("lane/core/a.cc", "auto t = std::chrono::steady_clock::now();\n", "reads no clock"),
                ("base/a.h", "int x;\n", "no #pragma once")):
            with self.subTest(name=name, text=text):
                self.assert_finds("includes.py", name, text, fault)

    def test_sizes(self):
        self.assert_finds("sizes.py", "base/a.h", "//\n" * 301, "301 lines; at most 300")
        self.assert_finds("sizes.py", "base/a.cc", "//\n" * 601, "601 lines; at most 600")
        self.assert_finds("sizes.py", "base/a.cc", LONG, "base/a.cc:1: a function of 82 lines")
        self.assert_finds("sizes.py", "base/a.cc", LONG.replace("int f()", "Result<int> C::f(int a,\n    int b) const"),
                          "a function of 8")
        self.assert_finds("sizes.py", "python/a.py", "def f():\n" + "    g()\n" * 80, "a function of 81 lines")

    def test_words(self):
        for text, fault in (("// TO" "DO later\n", "unfinished work"), ("cd /ro" "ot/x\n", "a path of one machine"),
                            ("index = py" "pi.org\n", "a registry's host")):
            with self.subTest(text=text):
                self.assert_finds("words.py", "scripts/a", text, fault)
        self.assert_finds("words.py", "base/string_utils.h", "", "says nothing of what is in it")

    def test_presets(self):
        text = (HERE.parents[1] / "CMakePresets.json").read_text(encoding="utf-8")
        tree = {"CMakePresets.json": text, "tests/tsan_suppressions.txt": ""}
        self.assertEqual(self.check("presets.py", tree)[0], 0)
        for old, new, fault in (
                ('"address,undefined"', '"address"', "preset 'debug': build type"),
                ('"thread"', '""', "preset 'tsan': build type"),
                ('"KILN_CLANG_TIDY": "ON"', '"KILN_CLANG_TIDY": "OFF"', "preset 'ci': build type"),
                ('"name": "tsan", "configurePreset"', '"name": "other", "configurePreset"', "'tsan' has no entry"),
                ("suppressions=", "suppress=", "does not name tests/tsan_suppressions.txt"),
                ("build/debug", "build/release", "does not build in build/debug")):
            with self.subTest(new=new, fault=fault):
                self.assertIn(old, text)
                self.assert_finds("presets.py", "CMakePresets.json", text.replace(old, new), fault)

    def test_bounds(self):
        page = "## net\n\n| constant | then | shown by |\n|---|---|---|\n| `kOneMax` | x | `kiln_x_total` |\n"
        source = "#pragma once\ninline constexpr int kOneMax = 1;\n"
        self.assertEqual(self.check("bounds.py", {"docs/bounds.md": page, "net/a.h": source})[0], 0)
        for changed_page, changed_source, fault in (
                (page, source + "constexpr std::size_t kTwoKept{2};\n", "net/a.h:3: docs/bounds.md does not tell of kTwoKept"),
                (page.replace("`kiln_x_total`", "nowhere"), source, "docs/bounds.md:5: names no metric"),
                (page + "| `kGoneMax` | x | not counted: pace |\n", source, "net/ has no kGoneMax"),
                (page + "| `kOneMax` | x | not counted: pace |\n", source, "kOneMax of net/ is told of twice")):
            with self.subTest(fault=fault):
                code, said = self.check("bounds.py", {"docs/bounds.md": changed_page, "net/a.h": changed_source})
                self.assertEqual(code, 1, said)
                self.assertIn(fault, said)

    def test_child_imports(self):
        for text, fault in (("import numpy\n", "imports numpy"),
                            ("def f():\n    from PIL import Image\n", "imports PIL"),
                            ("from kiln_import import trace\n", "imports kiln_import"),
                            ("importlib.import_module(name)\n", "hides what is imported")):
            with self.subTest(text=text):
                self.assert_finds("child_imports.py", "python/kiln_compile/a.py", text, fault)
        allowed = "import os\nimport torch._inductor\nfrom . import b\nfrom kiln_compile.c import d\n"
        self.assertEqual(self.check("child_imports.py", {"python/kiln_compile/a.py": allowed})[0], 0)

    def test_toolkit_paths(self):
        for text in ("g++ -I/usr/local/cuda/include -c a.cc", "g++ -isystem /usr/local/cuda-13.0/include -c a.cc",
                     "g++ -o kiln a.o -L/usr/local/cuda/lib64 -lcudart",
                     "ld -Wl,-rpath,/usr/local/cuda-12/lib64:/usr/lib", "-I/usr/lib/nvidia-cuda-toolkit/include",
                     "libcudart.so.13 => /usr/local/cuda-13.0/targets/x86_64-linux/lib/libcudart.so.13 (0x7f)",
                     "/usr/local/cuda/bin/nvcc -c a.cu", 'g++ "-I/opt/nvidia/include"'):
            with self.subTest(text=text):
                self.assertEqual(len(toolkit_paths(text)), 1, toolkit_paths(text))
        for text in ("libcudart.so.13 => /opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcudart.so.13",
                     "g++ -I/usr/include -c lane/engine/graph_runner_cuda.cc", "libcuda.so.1 => /usr/lib/libcuda.so.1"):
            with self.subTest(text=text):
                self.assertEqual(toolkit_paths(text), set())
        with mock.patch.dict(os.environ, {"CUDA_HOME": "/opt/toolkit"}):
            self.assertEqual(toolkit_paths("g++ -I/opt/toolkit/include"), {"/opt/toolkit/include"})


if __name__ == "__main__":
    unittest.main()
