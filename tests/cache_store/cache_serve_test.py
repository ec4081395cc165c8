"""`kiln cache serve` from outside: other people's clients, signed URLs made by hand, signals."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import quote

KILN = Path(os.environ["KILN_BINARY_DIR"], "bin", "kiln")
DEADLINE_S = 30


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class CacheServeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kiln-serve-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.start()

    def start(self) -> None:
        read_end, write_end = os.pipe()
        self.server = subprocess.Popen(
            [KILN, "cache", "serve", "--listen", "127.0.0.1:0", "--root", self.folder / "cache", "--budget", "8MiB",
             "--url-key", self.folder / "url_key", "--ready-fd", str(write_end)],
            pass_fds=[write_end], stderr=subprocess.PIPE)
        self.addCleanup(self.stop_now, self.server)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            self.address = ready.read().strip()
        self.assertRegex(self.address, r"^127\.0\.0\.1:\d+$")

    @staticmethod
    def stop_now(server: subprocess.Popen) -> None:
        server.kill()
        server.wait()
        server.stderr.close()

    def signed(self, method: str, path: str, owner: str = "", bytes_max: int = 0) -> str:
        """As docs/cache-protocol.md says, with nothing of Kiln's."""
        secret = bytes.fromhex((self.folder / "url_key").read_text().split()[1])
        expires = int(time.time()) + 60
        text = f"kiln-grant-1\n{method}\n{path}\n{owner}\n{bytes_max}\n{expires}\n"
        tag = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        return f"{path}?m={method}&p={quote(path)}&o={owner}&b={bytes_max}&x={expires}&s={tag}"

    def ask(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None):
        connection = http.client.HTTPConnection(self.address, timeout=DEADLINE_S)
        self.addCleanup(connection.close)
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer, answer.read()

    def put(self, data: bytes, owner: str = ""):
        path = f"/cas/{sha256(data)}"
        return self.ask("PUT", self.signed("PUT", path, owner, len(data)), data)

    def test_blobs_ranges_and_tags_with_another_client(self) -> None:
        data = os.urandom(3_000_000)
        path = f"/cas/{sha256(data)}"
        self.assertEqual(self.put(data)[0].status, 201)
        self.assertEqual(self.put(data)[0].status, 200)
        answer, body = self.ask("GET", self.signed("GET", path))
        self.assertEqual((answer.status, body), (200, data))
        self.assertEqual(answer.headers["ETag"], f'"{sha256(data)}"')
        answer, body = self.ask("GET", self.signed("GET", path), headers={"Range": "bytes=-1000"})
        self.assertEqual((answer.status, body), (206, data[-1000:]))
        answer, body = self.ask("GET", self.signed("GET", path), headers={"If-None-Match": f'"{sha256(data)}"'})
        self.assertEqual((answer.status, body), (304, b""))
        answer, body = self.ask("GET", path)
        self.assertEqual(answer.status, 401)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertEqual(json.loads(body)["code"], "unauthenticated")

    @unittest.skipUnless(shutil.which("curl"), "no curl here")
    def test_curl_uploads_downloads_and_resumes(self) -> None:
        data = os.urandom(2_000_000)
        source, copy = self.folder / "source", self.folder / "copy"
        source.write_bytes(data)
        path = f"/cas/{sha256(data)}"
        put = f"http://{self.address}{self.signed('PUT', path, '', len(data))}"
        get = f"http://{self.address}{self.signed('GET', path)}"
        curl = ["curl", "--silent", "--show-error", "--fail", "--max-time", str(DEADLINE_S)]
        for _ in range(2):  # the second is answered before its body
            subprocess.run([*curl, "--upload-file", source, put], check=True, capture_output=True)
        copy.write_bytes(data[:1_234_567])
        subprocess.run([*curl, "--continue-at", "-", "--output", copy, get], check=True, capture_output=True)
        self.assertEqual(copy.read_bytes(), data)

    def test_budget_holds_and_pins_are_kept_over_a_restart(self) -> None:
        pinned = [os.urandom(1 << 20) for _ in range(6)]
        for data in pinned:
            self.assertEqual(self.put(data, "job")[0].status, 201)
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.start()
        answer, body = self.put(os.urandom(3 << 20))
        self.assertEqual(answer.status, 507)
        self.assertEqual(json.loads(body)["code"], "resource_exhausted")
        self.assertEqual(json.loads(self.ask("DELETE", self.signed("DELETE", "/pins/job"))[1]), {"unpinned": 6})
        status = json.loads(self.ask("GET", "/status")[1])
        self.assertEqual((status["pinned_blobs"], status["blobs"]), (0, 6))

    def test_sigterm_ends_it_cleanly_and_a_second_one_on_the_folder_is_refused(self) -> None:
        second = subprocess.run([KILN, "cache", "serve", "--listen", "127.0.0.1:0", "--root", self.folder / "cache",
                                 "--open"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(second.returncode, 75, second.stderr)
        port = subprocess.run([KILN, "cache", "serve", "--listen", self.address, "--root", self.folder / "other",
                               "--open"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(port.returncode, 75, port.stderr)
        self.assertIn(self.address, port.stderr)
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(DEADLINE_S), 0)

    def test_off_loopback_it_needs_a_key(self) -> None:
        done = subprocess.run([KILN, "cache", "serve", "--listen", "0.0.0.0:0", "--root", self.folder / "other", "--open"],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--url-key", done.stderr)


if __name__ == "__main__":
    unittest.main()
