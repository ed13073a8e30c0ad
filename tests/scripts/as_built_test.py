"""`as_built` in two clones of a repository, one after the other at the same place."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

AS_BUILT = Path(__file__).with_name("as_built")


class AsBuilt(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.origin = Path(scratch.name, "origin")
        self.clone = Path(scratch.name, "clone")
        self.target = Path(scratch.name, "target")
        (self.origin / "tests/scripts").mkdir(parents=True)
        shutil.copy(AS_BUILT, self.origin / "tests/scripts/as_built")
        (self.origin / "one.rs").write_text("one")
        (self.origin / "two.rs").write_text("two")
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=self.origin, check=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=change")

    def run_in_clone(self, *command: str) -> tuple[int, dict[str, int]]:
        """The exit code of the command in a fresh clone, and the sources' times that it saw."""
        shutil.rmtree(self.clone, ignore_errors=True)
        self.git("clone", "--quiet", ".", str(self.clone))
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        environment.pop("TODOHOST_AS_BUILT", None)
        code = subprocess.run(
            [self.clone / "tests/scripts/as_built", *command], env=environment, check=False
        ).returncode
        return code, {name: (self.clone / name).stat().st_mtime_ns for name in ("one.rs", "two.rs")}

    def test_an_unchanged_source_keeps_its_time_and_a_changed_one_gets_a_new_time(self) -> None:
        _, first = self.run_in_clone("true")
        (self.origin / "two.rs").write_text("changed")
        self.commit()
        _, second = self.run_in_clone("true")
        self.assertEqual(first["one.rs"], second["one.rs"])
        self.assertLess(first["two.rs"], second["two.rs"])

    def test_an_older_content_is_a_change_too(self) -> None:
        _, first = self.run_in_clone("true")
        (self.origin / "two.rs").write_text("changed")
        self.commit()
        _, second = self.run_in_clone("true")
        (self.origin / "two.rs").write_text("two")
        self.commit()
        _, third = self.run_in_clone("true")
        self.assertEqual(first["one.rs"], third["one.rs"])
        self.assertLess(second["two.rs"], third["two.rs"])

    def test_only_the_time_of_a_source_that_changes_meanwhile_is_dropped(self) -> None:
        _, first = self.run_in_clone("sh", "-c", "echo changed >one.rs")
        _, second = self.run_in_clone("true")
        self.assertLess(first["one.rs"], second["one.rs"])
        self.assertEqual(first["two.rs"], second["two.rs"])

    def test_the_time_of_a_source_that_changes_and_changes_back_is_dropped(self) -> None:
        _, first = self.run_in_clone("sh", "-c", "echo changed >one.rs; printf one >one.rs")
        _, second = self.run_in_clone("true")
        self.assertLess(first["one.rs"], second["one.rs"])

    def test_a_nested_one_sets_no_times_and_the_outer_one_keeps_them(self) -> None:
        _, first = self.run_in_clone("tests/scripts/as_built", "true")
        code, second = self.run_in_clone("tests/scripts/as_built", "sh", "-c", "exit 7")
        self.assertEqual(code, 7)
        self.assertEqual(first, second)

    def test_a_killed_run_keeps_no_times(self) -> None:
        self.run_in_clone("true")
        _, killed = self.run_in_clone("sh", "-c", "kill -9 $PPID")
        _, after = self.run_in_clone("true")
        self.assertLess(killed["one.rs"], after["one.rs"])

    def test_it_ends_as_the_command_ends(self) -> None:
        self.assertEqual(self.run_in_clone("sh", "-c", "exit 7")[0], 7)
        self.assertEqual(self.run_in_clone("sh", "-c", "kill -TERM $$")[0], 143)


if __name__ == "__main__":
    unittest.main()
