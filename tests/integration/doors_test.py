"""Every door of one running farm, tried without a key and with a key of the wrong role. The doors are those that its
processes listen at, so that a new one cannot be forgotten."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import stat
import subprocess
import unittest
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import clips
import doors
import fixtures
import processes
from farm_case import FarmCase, free_port
from journal_facts import SYSTEM_PYTHON

FRAMES = 60
ANSWER_DEADLINE_S = 10
ZMTP_SIGNATURE = b"\xff"
METHODS = ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE")
NAMES = ("coordinator", "w1", "ann", "bob", "stranger")
# Prints the coordinator's grants for a job, to read and to write.
GRANTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import kiln_client as client
farm = client.Farm(sys.argv[2], sys.argv[3], sys.argv[4])
grants = farm.ask(ask_grants=client.pb.AskGrants(job=sys.argv[5], write=True)).grants
print(json.dumps([grants.read_query.decode(), grants.write_query.decode()]))
"""


INTRUDER = b"bytes that nobody may store"


def answer_of(door: doors.Door, method: str, target: str, body: bytes = b"") -> int:
    """The status of one request on a connection of its own."""
    connection = http.client.HTTPConnection(door.host, door.port, timeout=ANSWER_DEADLINE_S)
    try:
        connection.request(method, target, body=body or None)
        return connection.getresponse().status
    finally:
        connection.close()


def speaks_http(door: doors.Door) -> bool:
    try:
        return answer_of(door, "GET", "/healthz") == 200
    except (http.client.HTTPException, ConnectionError):
        return False


def speaks_zmq(door: doors.Door) -> bool:
    with socket.create_connection((door.host, door.port), ANSWER_DEADLINE_S) as peer:
        return peer.recv(1) == ZMTP_SIGNATURE


def open_paths(page: str, words: str) -> set[str]:
    """Those that a row of a page gives away."""
    [row] = [line for line in (fixtures.SOURCE / page).read_text(encoding="utf-8").splitlines() if words in line]
    return set(re.findall(r"/[a-z]+\b", row.split("|")[1]))


OPEN = open_paths("docs/operating.md", "| `--http`, also of")
OPEN_OF_THE_STORE = open_paths("docs/cache-protocol.md", "need no grant")


class DoorCase(FarmCase):
    def stored(self) -> set[str]:
        return {path.name for path in self.folder.glob("*/store/cas.v1/*/*")}

    def check_http_without_grant(self, door: doors.Door, is_store: bool, job: str) -> None:
        """What could be asked of any HTTP door; of the store what is there and would be worth having."""
        blob, intruder = self.stored().pop(), hashlib.sha256(INTRUDER).hexdigest()
        given_away = OPEN_OF_THE_STORE if is_store else OPEN
        for path in ("/", "/nothing", *sorted(OPEN | OPEN_OF_THE_STORE), "/cas/", f"/cas/{blob}", f"/cas/{intruder}",
                     f"/artifact/{blob}", "/pins/", f"/pins/{job}", f"/lease/{blob}?task=1&attempt=9"):
            for method in METHODS:
                status = answer_of(door, method, path, INTRUDER if method in ("PUT", "POST", "PATCH") else b"")
                with self.subTest(door=door, path=path, method=method, status=status):
                    if path in given_away and method in ("GET", "HEAD"):
                        self.assertIn(status, (200, 404, 503))
                    elif is_store and path not in given_away:
                        self.assertEqual(status, 401)
                    else:
                        self.assertIn(status, (404, 405))


class DoorsTest(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.keys = {name: self.keygen(name) for name in NAMES}
        allow = self.folder / "allow.txt"
        allow.write_text("".join(f"{self.keys[name]} {role} {name}\n"
                                 for name, role in (("w1", "worker"), ("ann", "client"), ("bob", "client"))))
        self.farm_processes = [self.start_coordinator("--key", self.key("coordinator"), "--allow", allow),
                               self.start_worker("w1", "--http", f"127.0.0.1:{free_port()}", *self.as_("w1"))]
        self.wait_for_worker()
        self.source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        self.job = self.submit(self.source, segment_frames=10)
        self.wait_for_segments(self.job, 1)  # lane, compile child and ffmpeg have been there
        self.ask("pause", self.job)

    def keygen(self, name: str) -> str:
        return self.run_command([str(fixtures.KILN), "keygen", str(self.key(name))]).out.strip()

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def as_(self, name: str) -> list[object]:
        return ["--key", self.key(name), "--coordinator-key", self.keys["coordinator"]]

    def ask(self, *arguments: object) -> dict:
        return super().ask(*arguments, *self.as_("ann"))

    def watch(self, job: str) -> dict:
        return self.kiln("watch", job, "--json", *self.as_("ann")).report()

    def doors(self) -> list[doors.Door]:
        return [door for process in self.farm_processes for door in doors.of_process_and_children(process.pid)]

    # ---- the two kinds of door ----

    def knock(self, *knocks: dict) -> list:
        script = Path(__file__).with_name("zmq_knocks.py")
        run = self.run_command([SYSTEM_PYTHON, "-B", str(script), str(fixtures.BINARY / "python"), json.dumps(knocks)],
                               env=os.environ)
        self.assertEqual(run.code, 0, run.err)
        return run.report()

    def knock_of(self, door: doors.Door, key: str | None, messages: str) -> dict:
        return {"endpoint": f"tcp://{door.host}:{door.port}", "key": str(self.key(key)) if key else None,
                "coordinator_key": self.keys["coordinator"], "messages": messages, "job": self.job}

    def check_grants_of_another_kind(self, store: doors.Door) -> None:
        """What a client was given opens what it is for, and nothing else."""
        run = self.run_command([SYSTEM_PYTHON, "-B", "-c", GRANTS, str(fixtures.BINARY / "python"), self.endpoint,
                                str(self.key("ann")), self.keys["coordinator"], self.job], env=os.environ)
        self.assertEqual(run.code, 0, run.err)
        read, write = run.report()
        blob = self.stored().pop()
        self.assertEqual(answer_of(store, "GET", f"/cas/{blob}?{read}"), 200)
        for method, path, query in (
                ("PUT", f"/cas/{blob}", read), ("DELETE", f"/cas/{blob}", read), ("GET", f"/cas/{blob}", write),
                ("GET", "/pins/", read), ("PUT", f"/pins/{self.job}", write), ("DELETE", f"/pins/{self.job}", write),
                ("PUT", f"/artifact/{blob}", write), ("PUT", f"/lease/{blob}", write)):
            with self.subTest(method=method, path=path):
                self.assertEqual(answer_of(store, method, f"{path}?{query}"), 403)
        for name, value in (("o", "another"), ("p", "/"), ("x", "99999999999"), ("b", "99999999999"), ("s", "0" * 64)):
            changed = urlencode({**dict(parse_qsl(write)), name: value})
            with self.subTest(changed=name):
                self.assertEqual(answer_of(store, "PUT", f"/cas/{blob}?{changed}", INTRUDER), 401)

    def check_zmq(self, door: doors.Door) -> None:
        strangers = [self.knock_of(door, key, messages) for key in (None, "stranger") for messages in ("client", "worker")]
        self.assertEqual(self.knock(*strangers), ["refused by the door"] * len(strangers))
        as_client, as_worker, others = self.knock(self.knock_of(door, "w1", "client"), self.knock_of(door, "ann", "worker"),
                                                  self.knock_of(door, "bob", "client"))
        for answers in (as_client, as_worker):
            self.assertEqual(set(answers.values()), {"refused permission_denied"}, answers)
        changes = {name: answer for name, answer in others.items() if name.startswith("control_job") or name == "drain"}
        self.assertEqual(len(changes), 6)
        self.assertEqual(set(changes.values()), {"refused permission_denied"}, changes)

    # ---- all of them ----

    def test_every_door_refuses_whoever_has_no_key_or_another_role(self):
        self.assertLessEqual({"/metrics", "/healthz", "/readyz"}, OPEN & OPEN_OF_THE_STORE)
        found = self.doors()
        self.assertEqual({door.kind for door in found}, {"tcp"}, found)
        self.assertEqual({door.host for door in found}, {"127.0.0.1"}, found)
        speaking = [door for door in found if speaks_http(door)]
        rest = [door for door in found if door not in speaking]
        self.assertTrue(all(map(speaks_zmq, rest)), f"a door that is neither of the two kinds: {rest}")
        # Nothing of this may have gone unseen: the doors that are known are among those that were found.
        known = {self.notice()[name].rpartition(":")[2] for name in ("http", "store")} | {self.endpoint.rpartition(":")[2]}
        self.assertLessEqual(known, {str(door.port) for door in found})
        self.assertEqual((len(speaking), len(rest)), (3, 1), "coordinator, store and worker; and the coordinator's own")
        before = self.stored()
        store_port = self.notice()["store"].rpartition(":")[2]
        for door in speaking:
            self.check_http_without_grant(door, str(door.port) == store_port, self.job)
        [store] = [door for door in speaking if str(door.port) == store_port]
        self.check_grants_of_another_kind(store)
        for door in rest:
            self.check_zmq(door)
        after = self.stored()
        self.assertLessEqual(before, after)
        self.assertNotIn(hashlib.sha256(INTRUDER).hexdigest(), after)
        self.ask("resume", self.job)
        self.finish_job(self.job)
        self.assertTrue(self.ask("workers")["workers"][0]["connected"])
        self.assertTrue(all(process.poll() is None for process in self.farm_processes))
        self.assertEqual(self.doors(), found)


class DoorsOfOneCommandTest(DoorCase):
    def test_kiln_run_has_a_store_that_refuses_and_a_socket_of_its_owner(self):
        command = self.start(clips.make(self.folder / "in.mp4", frames=300, rate="25"), self.folder / "out.mkv")
        self.wait_for_part(command)
        found = doors.of_process_and_children(command.pid)
        [way_in] = [door for door in found if door.kind == "unix"]
        speaking = [door for door in found if door != way_in]
        self.assertEqual([(door.kind, door.host) for door in speaking], [("tcp", "127.0.0.1")] * 2, "coordinator and store")
        for door in speaking:
            self.assertTrue(speaks_http(door), door)
            self.check_http_without_grant(door, "cache serve" in processes.Process(door.pid, "").command(), "job")
        self.assertEqual(Path(way_in.host), self.state / "farm.socket")
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode) & 0o077, 0)
        self.interrupt(command)
        self.finish(command)

    def test_a_new_door_would_be_found(self):
        program = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
        child = subprocess.Popen([fixtures.PYTHON, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.communicate, "\n")
        port = int(child.stdout.readline())
        self.assertEqual([door.port for door in doors.of_process_and_children(child.pid)], [port])


if __name__ == "__main__":
    unittest.main()
