"""Tests of `place`: keys depend on content, and partial entries never look complete."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from machine import place


class CacheTest(unittest.TestCase):
    """The cache."""

    def setUp(self) -> None:
        """Uses a temporary cache."""
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patched = mock.patch.object(place, "CACHE", Path(self.folder.name))
        patched.start()
        self.addCleanup(patched.stop)

    def test_key_follows_content_and_boundaries(self) -> None:
        """The same bytes with another boundary give another key."""
        self.assertEqual(place.key("ab", "c"), place.key("ab", "c"))
        self.assertNotEqual(place.key("ab", "c"), place.key("a", "bc"))

    def test_made_once(self) -> None:
        """The second call finds the entry."""
        made: list[Path] = []

        def make(path: Path) -> None:
            made.append(path)
            path.write_text("x")

        self.assertEqual(place.cached("thing", make), place.cached("thing", make))
        self.assertEqual(len(made), 1)

    def test_failure_leaves_nothing(self) -> None:
        """A partial entry does not exist afterwards."""

        def make(path: Path) -> None:
            path.mkdir()
            (path / "half").touch()
            raise RuntimeError("cut off")

        with self.assertRaises(RuntimeError):
            place.cached("thing", make)
        self.assertEqual(list(Path(self.folder.name).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
