"""Tests of `engine`: detection of containers' processes."""

import unittest
from pathlib import Path

from machine.engine import is_on_snapshot

STATE = Path("/var/lib/machine")
OVERLAY = "- overlay overlay rw,lowerdir=/l,upperdir={state}/containerd/snapshots/100/fs,workdir=/w"
DISK = "64 1 254:0 / / rw,relatime - ext4 /dev/vda rw"


class IsOnSnapshotTest(unittest.TestCase):
    """Lines of /proc/PID/mountinfo."""

    def test_a_container(self) -> None:
        """Its root is a snapshot."""
        self.assertTrue(is_on_snapshot("102 64 0:50 / / rw,relatime " + OVERLAY.format(state=STATE), STATE))

    def test_a_process_outside_sees_the_mount_elsewhere(self) -> None:
        """Like every process of the machine while a container runs."""
        mounts = DISK + "\n102 64 0:50 / /run/x/rootfs rw,relatime " + OVERLAY.format(state=STATE)
        self.assertFalse(is_on_snapshot(mounts, STATE))

    def test_a_container_of_another_engine(self) -> None:
        """Its processes are not killed."""
        other = "102 64 0:50 / / rw,relatime " + OVERLAY.format(state="/var/lib/other")
        self.assertFalse(is_on_snapshot(other, STATE))

    def test_a_zombie(self) -> None:
        """A zombie has no mounts."""
        self.assertFalse(is_on_snapshot("", STATE))


if __name__ == "__main__":
    unittest.main()
