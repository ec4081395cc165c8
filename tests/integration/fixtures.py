"""What the tests share: model packages, and a state folder whose store holds their artifacts.

Made once for a build, kept below the build folder, and made anew when importer, compile child, networks or programs
have changed. Run as a program it makes everything; tests that are run alone make what they need."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = Path(os.environ.get("KILN_SOURCE_DIR") or HERE.parents[1])
BINARY = Path(os.environ.get("KILN_BINARY_DIR") or SOURCE / "build" / "release")
KILN = BINARY / "bin" / "kiln"
LANE = BINARY / "bin" / "kiln-lane"
PYTHON = os.environ.get("KILN_PYTHON") or str(BINARY / "venv" / "bin" / "python")
ROOT = BINARY / "tests" / "integration"
NETWORKS = ("double", "three_frames")
WARM_SIZE = (64, 36)  # of the clips that the warm store has artifacts for
IMPORT_DEADLINE_S = 240
COMPILE_DEADLINE_S = 240
WAN_IMPORT_DEADLINE_S = 480


def environment() -> dict[str, str]:
    """Ours, without any setting of Kiln, and with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return {**kept, "HOME": str(ROOT / "home"), "XDG_CONFIG_HOME": str(ROOT / "home"), "KILN_PYTHON": PYTHON}


def digest_of(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _packages() -> Path:
    importer = sorted((SOURCE / "python" / "kiln_import").glob("*.py"))
    networks = (HERE / "tiny_networks.py", HERE.parent / "models" / "three_frames.py")
    return ROOT / f"packages-{digest_of(*importer, *networks)}"


def _generators() -> Path:
    importer = sorted((SOURCE / "python" / "kiln_import").rglob("*.py"))
    return ROOT / f"generators-{digest_of(*importer, HERE.parent / 'importer' / 'wan_models.py')}"


def _warm() -> Path:
    compiler = sorted((SOURCE / "python" / "kiln_compile").glob("*.py"))
    return ROOT / f"warm-{digest_of(*compiler, KILN)}-{_packages().name}"


@contextlib.contextmanager
def _made_once(target: Path):
    """Yields a folder to fill, which then becomes the target; None when the target is there. Others wait."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        partial = target.parent / f".{target.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        partial.rename(target)


def run(command: list[str], deadline_s: float, **options) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=deadline_s, check=False,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def package(name: str) -> Path:
    with _made_once(_packages() / name) as folder:
        if folder is not None:
            run([str(KILN), "import", "module", f"tiny_networks:{name}", "-o", str(folder / "package"), "--dtype",
                  "float32"], IMPORT_DEADLINE_S, cwd=HERE)
    return _packages() / name / "package"


def wan_package() -> Path:
    """A tiny Wan 2.1 of random weights, in float32; its weights are links to a checkpoint's files."""
    with _made_once(_generators()) as folder:
        if folder is not None:
            save = "import sys; sys.path.insert(0, sys.argv[1]); from wan_models import TinyWan; TinyWan(1).save(sys.argv[2])"
            run([PYTHON, "-c", save, str(HERE.parent / "importer"), str(folder / "checkpoint")], IMPORT_DEADLINE_S)
    package = _generators() / "package"
    with _made_once(package) as folder:
        if folder is not None:
            folder.rmdir()
            run([str(KILN), "import", "diffusers", str(_generators() / "checkpoint"), "-o", str(folder), "--dtype", "float32"],
                WAN_IMPORT_DEADLINE_S)
    return package


def _warm_template() -> Path:
    target = _warm()
    with _made_once(target) as folder:
        if folder is not None:
            clip = folder / "clip.mkv"
            width, height = WARM_SIZE
            run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=25", "-frames:v", "2",
                  str(clip)], 60)
            for name in NETWORKS:
                run([str(KILN), "run", "upscale", str(clip), "-o", str(folder / f"{name}.mkv"), "--model",
                      str(package(name)), "--state", str(folder / "state"), "--executor", "compiled", "--codec",
                      "ffv1"], COMPILE_DEADLINE_S)
            shutil.rmtree(folder / "state" / "jobs", ignore_errors=True)
    return target / "state"


def copy_warm_state(target: Path) -> Path:
    """A state folder of the test's own whose store holds the artifacts of all networks at WARM_SIZE."""
    shutil.copytree(_warm_template(), target, symlinks=True, ignore=shutil.ignore_patterns("*.socket"))
    return target


def copy_warm_farm(coordinator: Path, worker: Path) -> None:
    """The same for a farm: the store for its coordinator, and the key that signed what is in it for one of its workers."""
    shutil.copytree(_warm_template() / "store", coordinator / "store", symlinks=True)
    worker.mkdir(parents=True, mode=0o700, exist_ok=True)
    shutil.copy2(_warm_template() / "worker" / "worker.key", worker)


def main() -> None:
    if ROOT.exists():
        for old in ROOT.iterdir():
            if old.is_dir() and old not in (_packages(), _warm(), _generators()):
                shutil.rmtree(old, ignore_errors=True)
    for name in NETWORKS:
        print(package(name), flush=True)
    print(_warm_template(), flush=True)
    print(wan_package(), flush=True)


if __name__ == "__main__":
    main()
