"""What programs write to a terminal: one word of a log line is coloured, unless the user asks for none."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
import unittest

import fixtures
from kiln_case import KilnCase

DEADLINE_S = 30
ESCAPE = "\x1b"


class TerminalTest(KilnCase):
    def on_terminal(self, until: str, *arguments: object, **variables: str) -> str:
        """What the program writes there until it has said that, or has ended."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        kept = {name: value for name, value in fixtures.environment().items() if name not in ("NO_COLOR", "COLORTERM")}
        command = subprocess.Popen([str(fixtures.KILN), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs,
                                   stderr=theirs, env={**kept, "TERM": "xterm", **variables})
        os.close(theirs)
        said, deadline = "", time.monotonic() + DEADLINE_S
        while until not in said and time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                said += os.read(ours, 4096).decode()
            except OSError:  # nobody has the other end any more
                break
        command.terminate()
        command.wait(DEADLINE_S)
        self.assertIn(until, said)
        return said

    def serve(self, **variables: str) -> str:
        return self.on_terminal("serves on", "--verbose", "cache", "serve", "--open", "--listen", "127.0.0.1:0", "--root",
                                self.folder / "store", **variables)

    def test_log_lines_have_colour_unless_no_color_is_set(self):
        self.assertIn(ESCAPE, self.serve())
        self.assertIn(ESCAPE, self.serve(NO_COLOR=""))  # as if it were not set: no-color.org
        self.assertNotIn(ESCAPE, self.serve(NO_COLOR="1"))
        self.assertNotIn(ESCAPE, self.serve(TERM="dumb"))

    def test_errors_and_help_have_none(self):
        missing = self.on_terminal("missing.mp4", "run", "upscale", self.folder / "missing.mp4", "-o", self.folder / "out.mp4",
                                   "--model", fixtures.package(self.network), "--state", self.state)
        self.assertNotIn(ESCAPE, missing)
        self.assertNotIn(ESCAPE, self.on_terminal("Usage", "run", "upscale", "--help"))


if __name__ == "__main__":
    unittest.main()
