"""What a coordinator's journal says of tasks, and whether anything was given out that had its result.

Run as a program, by a Python with protobuf, it prints the facts as JSON:
    python3 journal_facts.py JOURNAL_FOLDER FOLDER_OF_FARM_PB2"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's, which has protobuf
READ_DEADLINE_S = 60
COPIES_MAX = 5  # a checkpoint in the middle of a copy spoils it
SEGMENT = 3  # TASK_KIND_SEGMENT


def read(journal: Path, binary: Path) -> list[dict]:
    command = [SYSTEM_PYTHON, "-B", __file__, str(journal), str(binary / "python_pb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=READ_DEADLINE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"the journal cannot be read: {done.stderr}")
    return json.loads(done.stdout)


def given_again(facts: list[dict]) -> list[str]:
    """Segments that were assigned, or came back, although a result for them, or for one of their frames, was there; and
    those that were assigned a second time while the first was not over."""
    faults: list[str] = []
    done_tasks: set[int] = set()
    running: dict[int, int] = {}
    frames: dict[tuple[str, int], set[int]] = {}
    where: dict[int, tuple[str, int]] = {}
    for number, fact in enumerate(facts, 1):
        kind, task = fact["kind"], fact.get("task", 0)
        if kind == "assigned" and fact["task_kind"] == SEGMENT:
            clip = where[task] = (fact["job"], fact["clip"])
            if task in done_tasks or frames.setdefault(clip, set()) & set(range(fact["first"], fact["last"])):
                faults.append(f"fact {number}: task {task} of {clip} is assigned, and its result is there")
            if task in running:
                faults.append(f"fact {number}: task {task} of {clip} is assigned, and attempt {running[task]} is not over")
            running[task] = fact["attempt"]
        elif kind == "attempt_ended":
            running.pop(task, None)
        elif kind == "result_accepted" and "first" in fact:
            if task in done_tasks:
                faults.append(f"fact {number}: a second result of task {task}")
            if running.pop(task, None) != fact["attempt"]:
                faults.append(f"fact {number}: a result of task {task} that was not at work")
            done_tasks.add(task)
            frames[where[task]].update(range(fact["first"], fact["last"]))
    return faults


def frame_hashes(facts: list[dict], job: str) -> list[str]:
    """One for each frame of the job's first clip, of the planes that were handed to the encoder."""
    tasks = {fact["task"] for fact in facts if fact["kind"] == "assigned" and fact["job"] == job and fact["clip"] == 0}
    found: dict[int, str] = {}
    for fact in facts:
        if fact["kind"] == "result_accepted" and fact["task"] in tasks and "first" in fact:
            width = len(fact["frame_hashes"]) // (fact["last"] - fact["first"])
            for frame in range(fact["first"], fact["last"]):
                begin = (frame - fact["first"]) * width
                found[frame] = fact["frame_hashes"][begin : begin + width]
    return [found[frame] for frame in sorted(found)]


def finished_segments(facts: list[dict]) -> list[dict]:
    """Results of segments of jobs that are kept, as far as they were not lost since."""
    jobs = {fact["job"] for fact in facts if fact["kind"] == "job_accepted"}
    jobs -= {fact["job"] for fact in facts if fact["kind"] == "job_controlled" and fact["removed"]}
    tasks = {fact["task"] for fact in facts if fact["kind"] == "assigned" and fact["job"] in jobs}
    lost = {blob for fact in facts if fact["kind"] == "attempt_ended" for blob in fact["lost_blobs"]}
    return [fact for fact in facts if fact["kind"] == "result_accepted" and "first" in fact and fact["task"] in tasks
            and fact["blob"] not in lost]


# ---- as a program ----


def _bodies(folder: Path) -> list[bytes]:
    for last in (copy == COPIES_MAX - 1 for copy in range(COPIES_MAX)):
        with tempfile.TemporaryDirectory() as name:
            for file in folder.glob("journal.db*"):
                shutil.copy(file, name)
            connection = sqlite3.connect(f"{name}/journal.db")
            try:
                rows = connection.execute("SELECT sequence, body FROM facts ORDER BY sequence").fetchall()
                if [number for number, _ in rows] != list(range(1, len(rows) + 1)):
                    raise sqlite3.DatabaseError("facts are missing at the front or between")
                return [body for _, body in rows]
            except sqlite3.DatabaseError:
                if last:
                    raise
            finally:
                connection.close()
    return []


def _plain(fact, kiln_pb2) -> dict:
    kind = fact.WhichOneof("body")
    body = getattr(fact, kind)
    out: dict = {"kind": kind}
    for name in ("task", "attempt", "job", "clip", "first", "last", "worker", "lane", "at_s"):
        if hasattr(body, name):
            out[name] = getattr(body, name)
    if kind == "assigned":
        out["task_kind"] = body.kind
        out["reason"] = body.reason.decode()
    elif kind == "attempt_ended":
        out["message"] = body.fault.message.decode(errors="replace")
        out["lost_blobs"] = list(body.fault.lost_blobs)
    elif kind == "job_accepted":
        out["job"] = body.request.job
    elif kind == "job_controlled":
        out["removed"] = body.verb == kiln_pb2.JOB_VERB_REMOVE
    elif kind == "result_accepted" and body.result.HasField("segment"):
        segment = body.result.segment
        out |= {"first": segment.first, "last": segment.last, "wall_s": segment.wall_s, "model_s": segment.model_s,
                "transfer_s": segment.transfer_s, "frames_compiled": segment.frames_compiled,
                "blob": segment.segment.sha256, "settings_digest": segment.settings_digest.hex(),
                "frame_hashes": segment.frame_hashes.hex()}
    return out


def main() -> None:
    sys.path.insert(0, sys.argv[2])
    import kiln_pb2

    json.dump([_plain(kiln_pb2.Fact.FromString(body), kiln_pb2) for body in _bodies(Path(sys.argv[1]))], sys.stdout)


if __name__ == "__main__":
    main()
