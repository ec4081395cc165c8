"""Runs the commands of README's section on cards, as they stand there, out of an unpacked bundle.

    python3 tests/gpu/readme_run.py --bundle TAR --package DIR --out FILE.json"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

HEADING = "On graphics cards"
MODEL = "realesr-animevideov3"  # as README calls it


def commands(readme):
    [section] = re.findall(rf"^## {HEADING}$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    [block] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+# .*$", "", line) for line in block.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    readme = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    work = pathlib.Path(tempfile.mkdtemp(prefix="kiln-readme-"))
    subprocess.run(["tar", "-xf", options.bundle, "-C", str(work)], check=True)
    root = next(path for path in work.iterdir() if (path / "bin" / "kiln").exists())
    os.symlink(root / "share" / "clip.mp4", work / "clip.mp4")
    os.symlink(os.path.abspath(options.package), work / MODEL)
    environment = {**os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}", "XDG_STATE_HOME": str(work / "state")}
    seen = []
    for line in commands(readme):
        begun = time.monotonic()
        done = subprocess.run(["bash", "-c", line], cwd=work, env=environment, capture_output=True, text=True, check=False)
        seen.append({"command": line, "code": done.returncode, "seconds": round(time.monotonic() - begun, 2),
                     "said": (done.stdout + done.stderr)[-1500:]})
        pathlib.Path(options.out).write_text(json.dumps(seen, indent=1))
        print(json.dumps(seen[-1]), flush=True)


if __name__ == "__main__":
    main()
