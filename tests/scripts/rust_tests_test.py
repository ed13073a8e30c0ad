"""`rust_tests.py` reads messages of cargo and runs test programs."""

import contextlib
import dataclasses
import io
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import rust_tests
from rust_tests import Program, programs_in, run

# A stand-in for a test program: `--list` names its tests that contain the filter, and a run leaves a trace.
PROGRAM = """#!/bin/sh
if [ "$1" = --list ]; then
  for test in one::passes two::passes; do case $test in *"$2"*) echo "$test: test" ;; esac; done
  exit
fi
echo "$PWD $*" >>"$CARGO_MANIFEST_DIR/trace"
echo "test result: ok. 2 passed"
exit "$(cat "$CARGO_MANIFEST_DIR/code")"
"""


def artifact(package: str, target: str, executable: str | None, is_test: bool = True) -> str:
    """A message of cargo about a program that it made, or about a library."""
    return json.dumps(
        {
            "reason": "compiler-artifact",
            "package_id": f"path+file:///w/{package}#0.1.0",
            "manifest_path": f"/w/{package}/Cargo.toml",
            "target": {"name": target},
            "profile": {"test": is_test},
            "executable": executable,
        }
    )


class Messages(unittest.TestCase):
    def test_only_test_programs_are_taken(self) -> None:
        messages = [
            json.dumps({"reason": "build-script-executed"}),
            artifact("host", "todohost", "/t/todohost", is_test=False),
            artifact("host", "todohost", None),
            artifact("tests", "cli", "/t/cli"),
            artifact("host", "todohost", "/t/unit"),
        ]
        found = programs_in(iter(messages))
        self.assertEqual(
            [(one.executable, one.kind, one.folder) for one in found],
            [("/t/unit", "unit", "/w/host"), ("/t/cli", "cli", "/w/tests")],
        )

    def test_the_name_of_a_package_is_in_its_id_or_is_its_folders(self) -> None:
        self.assertEqual(
            rust_tests.package("path+file:///w/plugins/steps/health#todohost-health@0.1.0"), "todohost-health"
        )
        self.assertEqual(rust_tests.package("path+file:///w/xtask#0.1.0"), "xtask")


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def program(self, target: str, code: int = 0) -> Program:
        folder = self.folder / target
        folder.mkdir()
        executable = folder / "program"
        executable.write_text(PROGRAM)
        executable.chmod(0o755)
        (folder / "code").write_text(str(code))
        return Program("p", target, str(folder), str(executable))

    def trace(self, target: str) -> str:
        file = self.folder / target / "trace"
        return file.read_text() if file.exists() else ""

    def run_kind(self, kind: str, arguments: list[str], programs: list[Program]) -> int:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return run(kind, arguments, programs)

    def test_the_programs_of_a_kind_run_in_the_folder_of_their_package(self) -> None:
        programs = [self.program("cli"), self.program("engine"), self.program("model")]
        self.assertEqual(self.run_kind("unit", [], programs), 0)
        self.assertEqual(self.trace("cli"), "")
        for target in ("engine", "model"):
            self.assertEqual(self.trace(target), f"{self.folder / target} --quiet\n")

    def test_a_filter_that_matches_no_test_is_an_error(self) -> None:
        programs = [self.program("cli")]
        self.assertEqual(self.run_kind("cli", ["three"], programs), 1)
        self.assertEqual(self.trace("cli"), "")
        self.assertEqual(self.run_kind("cli", ["two", "--nocapture"], programs), 0)
        self.assertIn("two --nocapture", self.trace("cli"))

    def test_a_skip_that_matches_no_test_is_an_error(self) -> None:
        programs = [self.program("cli")]
        self.assertEqual(self.run_kind("cli", ["--skip", "three"], programs), 1)
        self.assertEqual(self.run_kind("cli", ["--quiet", "--skip", "two::"], programs), 0)
        self.assertIn("--quiet --skip two::", self.trace("cli"))

    def test_a_filter_may_be_the_name_of_a_package(self) -> None:
        programs = [self.program("engine"), self.program("model")]
        programs[1] = dataclasses.replace(programs[1], package="todohost-model")
        self.assertEqual(self.run_kind("unit", ["todohost-model"], programs), 0)
        self.assertEqual((self.trace("engine"), self.trace("model")), ("", f"{self.folder / 'model'} --quiet\n"))

    def test_one_program_that_fails_is_a_failure_of_all(self) -> None:
        programs = [self.program("engine", code=101), self.program("model")]
        self.assertEqual(self.run_kind("unit", [], programs), 1)
        self.assertNotEqual(self.trace("model"), "")

    def test_each_profile_has_its_own_list(self) -> None:
        for profile, folder in (("dev", "debug"), ("release", "release")):
            with mock.patch.dict(os.environ, {"TODOHOST_PROFILE": profile, "CARGO_TARGET_DIR": "/t"}):
                self.assertEqual(rust_tests.list_file(), Path("/t", folder, "test-programs.json"))


if __name__ == "__main__":
    unittest.main()
