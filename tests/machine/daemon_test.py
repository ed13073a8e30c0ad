"""Tests of `daemon`: whose process it is, and that it ends."""

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
        """The name may look like fields."""
        fields = " ".join(str(number) for number in range(4, 53))
        state, start = daemon.process_state(f"17 (a) S (b) R {fields}")
        self.assertEqual((state, start), ("R", 22))

    def test_own_process_lives(self) -> None:
        """This very process."""
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
        """A scratch place."""
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ("RUN", "LOGS"):
            patched = mock.patch.object(daemon, name, Path(self.folder.name))
            patched.start()
            self.addCleanup(patched.stop)

    def test_started_once_and_stopped(self) -> None:
        """A second start finds it; after a stop it is gone."""
        sleeper = daemon.Daemon("sleeper")
        self.assertTrue(sleeper.start("sleep", "60"))
        pid = sleeper.pid()
        self.assertFalse(sleeper.start("sleep", "60"))
        self.assertEqual(sleeper.pid(), pid)
        self.assertTrue(sleeper.stop())
        self.assertIsNone(sleeper.pid())
        self.assertFalse(sleeper.stop())

    def test_known_even_if_the_starter_is_killed(self) -> None:
        """The record is made by the process itself: here nobody else is there to make it."""
        sleeper = daemon.Daemon("sleeper")
        sleeper.record.parent.mkdir(parents=True)
        child = subprocess.Popen(["sh", "-c", daemon.WRITE_DOWN, sleeper.record, "sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        wait_until(sleeper.record.exists, "the record", 5)
        self.assertEqual(sleeper.pid(), child.pid)

    def test_a_program_that_is_missing(self) -> None:
        """Says so."""
        with self.assertRaisesRegex(MachineError, "ended by itself(.|\n)*not found"):
            daemon.Daemon("missing").start("/nonexistent/daemon")

    def test_recycled_process_id_is_not_taken_for_it(self) -> None:
        """Same id, other start time."""
        sleeper = daemon.Daemon("sleeper")
        sleeper.record.parent.mkdir(parents=True)
        sleeper.record.write_text(f'{{"pid": {os.getpid()}, "started": 1}}')
        self.assertIsNone(sleeper.pid())

    def test_last_words_of_one_that_ends(self) -> None:
        """They are in the error."""
        failing = daemon.Daemon("failing")
        failing.log.parent.mkdir(parents=True, exist_ok=True)
        failing.log.write_text("cannot bind\n")
        with self.assertRaisesRegex(MachineError, "cannot bind"):
            failing.must_live()


if __name__ == "__main__":
    unittest.main()
