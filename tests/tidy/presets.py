"""The presets of CMakePresets.json: which there are, where each builds, and which sanitizers it asks for."""

from __future__ import annotations

import json

from source_tree import ROOT, finish

# name: build type, sanitizers, clang-tidy
EXPECTED = {
    "release": ("Release", "", False),
    "debug": ("Debug", "address,undefined", False),
    "tsan": ("RelWithDebInfo", "thread", False),
    "ci": ("Release", "", True),
}

SUPPRESSIONS = "tests/tsan_suppressions.txt"


def settings(presets: dict[str, dict], name: str) -> dict[str, str]:
    """cacheVariables with those of the presets that it inherits."""
    preset = presets[name]
    inherited = preset.get("inherits", [])
    merged: dict[str, str] = {}
    for parent in reversed([inherited] if isinstance(inherited, str) else inherited):
        merged |= settings(presets, parent)
    return merged | preset.get("cacheVariables", {})


def main() -> None:
    document = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    configure = {preset["name"]: preset for preset in document["configurePresets"]}
    faults = [f"there is no configure preset '{name}'" for name in EXPECTED if name not in configure]
    faults += [f"nothing is expected of the preset '{name}'" for name in configure if name not in EXPECTED]
    for name in EXPECTED.keys() & configure.keys():
        values = settings(configure, name)
        found = (values.get("CMAKE_BUILD_TYPE", ""), values.get("KILN_SANITIZE", ""),
                 values.get("KILN_CLANG_TIDY", "OFF") == "ON")
        if found != EXPECTED[name]:
            faults.append(f"preset '{name}': build type, sanitizers, clang-tidy are {found}; expected {EXPECTED[name]}")
        if configure[name].get("binaryDir") != f"${{sourceDir}}/build/{name}":
            faults.append(f"preset '{name}' does not build in build/{name}")
        for kind in ("buildPresets", "testPresets"):
            if not any(p["name"] == p["configurePreset"] == name for p in document[kind]):
                faults.append(f"'{name}' has no entry in {kind}")
    told = [p.get("environment", {}).get("TSAN_OPTIONS", "") for p in document["testPresets"] if p["name"] == "tsan"]
    named = [option.removeprefix("suppressions=${sourceDir}/") for text in told for option in text.split(":")]
    if not any(name == SUPPRESSIONS and (ROOT / name).is_file() for name in named):
        faults.append(f"the test preset 'tsan' does not name {SUPPRESSIONS}, or there is no such file")
    finish(faults, f"{len(configure)} presets")


if __name__ == "__main__":
    main()
