"""The reason that `cause` finds in logs of cargo, rustc, Python and our scripts, and the last line of a stage."""

import os
import subprocess
import tempfile
import unittest

from cause import cause
from locations import ROOT


class Cause(unittest.TestCase):
    def test_a_crate_that_does_not_compile(self) -> None:
        log = (
            "error[E0463]: can't find crate for `std`\n  |\n  = note: a target may not be installed\n\n"
            "For more information about this error, try `rustc --explain E0463`.\n"
            "error: could not compile `cfg-if` (lib) due to 1 previous error\n"
        )
        self.assertEqual(cause(log), "error[E0463]: can't find crate for `std`")

    def test_a_test_that_panics(self) -> None:
        log = (
            "---- deploy::first stdout ----\n\nthread 'deploy::first' (12) panicked at tests/cli/deploy.rs:10:5:\n"
            "assertion failed: done\nnote: run with `RUST_BACKTRACE=1`\n\n\nfailures:\n    deploy::first\n\n"
            "test result: FAILED. 3 passed; 1 failed; 0 ignored\n\nerror: test failed, to rerun pass `--test cli`\n"
        )
        self.assertEqual(cause(log), "deploy::first panicked at tests/cli/deploy.rs:10:5: assertion failed: done")

    def test_a_python_test(self) -> None:
        log = "AssertionError: 1 != 2\n\n-----------\nRan 2 tests in 0.1s\n\nFAILED (failures=1)\n"
        self.assertEqual(cause(log), "AssertionError: 1 != 2")

    def test_the_last_words_of_a_script(self) -> None:
        log = "error: a refusal that was expected\n" + "line\n" * 40 + "chart: expected 'a', got 'b'\n"
        self.assertEqual(cause(log), "chart: expected 'a', got 'b'")

    def test_a_machine_that_does_not_start(self) -> None:
        log = "[   1.0s] starting dockerd\n[   9.1s] failed: dockerd ended by itself:\nlevel=info msg=x\n"
        self.assertEqual(cause(log), "[   9.1s] failed: dockerd ended by itself:")

    def test_colours_and_silence(self) -> None:
        self.assertEqual(cause("\x1b[1;31merror\x1b[0m: no space left\n"), "error: no space left")
        self.assertEqual(cause("\n"), "it printed nothing")


class Stage(unittest.TestCase):
    """The functions `logged`, `red` and `die` of environment.sh."""

    def run_script(self, text: str) -> list[str]:
        begin = f"set -euo pipefail; source {ROOT}/tests/scripts/environment.sh\n"
        stage = 'stage() { logged "$@" || { red "$1"; exit 1; }; }\n'
        with tempfile.TemporaryDirectory() as home:
            own = {**os.environ, "XDG_STATE_HOME": home, "CARGO_TARGET_DIR": home}
            command = ["bash", "-c", begin + stage + text]
            done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).splitlines()

    def test_a_failed_part_is_named_last_with_reason_and_log(self) -> None:
        last = self.run_script("stage 'core plugins' bash -c 'echo error: no space left; exit 3'")[-1]
        self.assertRegex(
            last, r'^make \S+: "core plugins" failed: error: no space left; the log is .*/core-plugins\.log$'
        )

    def test_the_reason_of_a_script_wins_over_what_it_prints_afterwards(self) -> None:
        inner = f"source {ROOT}/tests/scripts/environment.sh; trap 'echo error: unrelated' EXIT; die 'chart: wrong'"
        last = self.run_script(f'stage chart bash -c "{inner}"')[-1]
        self.assertIn('"chart" failed: chart: wrong; the log is', last)

    def test_a_function_keeps_its_variables_and_a_daemon_does_not_hold_the_stage(self) -> None:
        lines = self.run_script('f() { value=kept; sleep 60 & }\nstage f f\necho "$value"; kill %1')
        self.assertEqual(lines[-1], "kept")
