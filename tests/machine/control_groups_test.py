"""Tests of `control_groups`: missing hierarchies in the kernel's tables."""

import unittest

from machine.control_groups import unmounted

HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
MOUNTS = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
)


class Unmounted(unittest.TestCase):
    def test_controllers_without_a_hierarchy_are_joined_like_by_an_init(self) -> None:
        known = HEAD + "memory\t4\t1\t1\nnet_cls\t0\t1\t1\nperf_event\t0\t1\t1\nnet_prio\t0\t1\t1\nhugetlb\t0\t1\t0\n"
        self.assertEqual(unmounted(known, MOUNTS), ["net_cls,net_prio", "perf_event"])

    def test_hierarchies_mounted_in_a_node_keep_their_controllers(self) -> None:
        known = HEAD + "memory\t4\t1\t1\nnet_cls\t13\t1\t1\nhugetlb\t10\t1\t1\nnet_prio\t13\t1\t1\n"
        self.assertEqual(unmounted(known, MOUNTS), ["net_cls,net_prio", "hugetlb"])

    def test_all_are_mounted(self) -> None:
        self.assertEqual(unmounted(HEAD + "memory\t4\t1\t1\n", MOUNTS), [])


if __name__ == "__main__":
    unittest.main()
