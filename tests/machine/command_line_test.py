"""Tests of `command_line`: detection of clusters in kubeconfig files."""

import unittest

from machine.command_line import names_clusters


class NamesClustersTest(unittest.TestCase):
    """Kubeconfig files as tools write them."""

    def test_a_context(self) -> None:
        """With and without indentation of the list."""
        for indent in ("", "  "):
            with self.subTest(indent=indent):
                text = f"apiVersion: v1\ncontexts:\n{indent}- context:\n    cluster: a\n  name: a\nkind: Config\n"
                self.assertTrue(names_clusters(text))

    def test_no_context(self) -> None:
        """Files after deletion of the last context."""
        users = "users:\n- name: a\n"
        for nothing in (f"contexts: null\n{users}", "contexts: []\n", f"contexts:\n{users}"):
            with self.subTest(nothing=nothing):
                self.assertFalse(names_clusters(nothing))


if __name__ == "__main__":
    unittest.main()
