"""The disk space and the memory that `capacity` requires, before and after a first run."""

import tempfile
import unittest
from pathlib import Path

from capacity import GIB, Share, check_disk, check_memory, shares

from machine.process import MachineError


class Disk(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.filled = self.folder / "filled"
        self.wanted = [
            Share("compiled", self.folder / "not/there/yet", 10, 1, self.filled),
            Share("crates", self.folder, 2, 0.1, self.filled),
        ]

    def test_shares_on_one_disk_are_added(self) -> None:
        with self.assertRaisesRegex(MachineError, r"11\.9 GB are free .*, 12 are needed \(compiled in .* 10, crates"):
            check_disk(self.wanted, lambda _: int(11.9 * GIB))
        check_disk(self.wanted, lambda _: 12 * GIB)

    def test_a_warm_machine_needs_less(self) -> None:
        self.filled.touch()
        check_disk(self.wanted, lambda _: 2 * GIB)
        with self.assertRaises(MachineError):
            check_disk(self.wanted, lambda _: GIB)

    def test_a_bare_machine_needs_more(self) -> None:
        def most(everything: bool, machine: bool) -> float:
            return sum(share.cold for share in shares(everything, machine))

        self.assertGreater(most(False, True), most(False, False))
        self.assertGreater(most(True, True), most(False, True))


class Memory(unittest.TestCase):
    def test_too_little_is_refused(self) -> None:
        with self.assertRaisesRegex(MachineError, "3.0 GB of memory and 4 are needed"):
            check_memory(4, 3 * GIB)

    def test_a_machine_sold_with_as_much_is_enough(self) -> None:
        check_memory(8, int(7.5 * GIB))

    def test_a_system_that_does_not_say_is_not_refused(self) -> None:
        check_memory(8, None)
