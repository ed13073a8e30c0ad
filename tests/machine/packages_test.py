"""Missing packages, and the lists for a machine."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

from machine import packages


class PackagesTest(unittest.TestCase):
    """Witnesses of packages."""

    def test_a_package_is_missing_when_its_witness_is(self) -> None:
        """Paths, patterns of paths, and programs."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "15").mkdir()
            Path(folder, "15/postgres").touch()
            wanted = {
                "there": f"{folder}/15/postgres",
                "pattern": f"{folder}/*/postgres",
                "client-only": f"{folder}/*/psql",
                "program": "sh",
                "no-program": "todohost-has-no-such-program",
            }
            self.assertEqual(packages.missing(wanted), ["client-only", "no-program"])

    def test_a_named_database_is_not_installed(self) -> None:
        """The environment may name a database, and a browser."""
        with patch.dict(os.environ, {"DATABASE_URL": "postgresql://a", "TODO_BROWSER": "/opt/chrome"}):
            self.assertNotIn("postgresql", packages.for_machine())
            self.assertEqual(packages.browser(), {"chromium": "/opt/chrome"})
        with patch.dict(os.environ):
            os.environ.pop("DATABASE_URL", None)
            self.assertIn("postgresql", packages.for_machine())

    def test_recommended_packages_are_named(self) -> None:
        """The cross compiler's C library is only recommended by it."""
        self.assertIn("libc6-dev-arm64-cross", packages.CROSS)


if __name__ == "__main__":
    unittest.main()
