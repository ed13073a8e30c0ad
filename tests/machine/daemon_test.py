"""Tests of `daemon`: identification and end of processes."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from machine import daemon
from machine.process import MachineError, wait_until


class ProcessStateTest(unittest.TestCase):
    """The line of /proc/PID/stat."""

    def test_name_with_blanks_and_parentheses(self) -> None:
        """The name can look like fields."""
        fields = " ".join(str(number) for number in range(4, 53))
        state, start = daemon.process_state(f"17 (a) S (b) R {fields}")
        self.assertEqual((state, start), ("R", 22))

    def test_own_process_lives(self) -> None:
        """The process of this test."""
        self.assertIsNotNone(daemon.started_at(os.getpid()))

    def test_zombie_is_dead(self) -> None:
        """A process that ended and was not waited for."""
        child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
        assert child.stdout  # noqa: S101  (for the type checker)
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertIsNone(daemon.started_at(child.pid))
        child.wait()
        child.stdout.close()


class DaemonTest(unittest.TestCase):
    """Start, find again, stop."""

    def setUp(self) -> None:
        """Uses temporary folders."""
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ("RUN", "LOGS"):
            patched = mock.patch.object(daemon, name, Path(self.folder.name))
            patched.start()
            self.addCleanup(patched.stop)

    def test_started_once_and_stopped(self) -> None:
        """A second start finds the running daemon; after a stop it is gone."""
        sleeper = daemon.Daemon("sleeper")
        self.assertTrue(sleeper.start("sleep", "60"))
        pid = sleeper.pid()
        self.assertFalse(sleeper.start("sleep", "60"))
        self.assertEqual(sleeper.pid(), pid)
        self.assertTrue(sleeper.stop())
        self.assertIsNone(sleeper.pid())
        self.assertFalse(sleeper.stop())

    def test_known_even_if_the_starter_is_killed(self) -> None:
        """The process writes its own record, so the record exists even without its starter."""
        sleeper = daemon.Daemon("sleeper")
        sleeper.record.parent.mkdir(parents=True)
        child = subprocess.Popen(["sh", "-c", daemon.WRITE_DOWN, sleeper.record, "sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        wait_until(sleeper.record.exists, "the record", 5)
        self.assertEqual(sleeper.pid(), child.pid)

    def test_missing_program_is_reported(self) -> None:
        """The error has the shell's message."""
        with self.assertRaisesRegex(MachineError, "ended unexpectedly(.|\n)*not found"):
            daemon.Daemon("missing").start("/nonexistent/daemon")

    def test_recycled_process_id_is_not_taken_for_it(self) -> None:
        """Same id, other start time."""
        sleeper = daemon.Daemon("sleeper")
        sleeper.record.parent.mkdir(parents=True)
        sleeper.record.write_text(f'{{"pid": {os.getpid()}, "started": 1}}')
        self.assertIsNone(sleeper.pid())

    def test_error_has_the_last_output_of_an_ended_daemon(self) -> None:
        """The message has the end of the log."""
        failing = daemon.Daemon("failing")
        failing.log.parent.mkdir(parents=True, exist_ok=True)
        failing.log.write_text("cannot bind\n")
        with self.assertRaisesRegex(MachineError, "cannot bind"):
            failing.must_live()


if __name__ == "__main__":
    unittest.main()
