"""`prerequisites` on machines that lack something: it calls an installer, or prints one line with the words to type.

Most programs on PATH are stand-ins. The last test uses the real programs and empty homes.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from locations import ROOT
from prerequisites import COMMANDS

from machine.packages import CROSS

REAL = ("bash", "env", "dirname", "id", "mktemp", "tail", "mkdir", "git")
# The parts of the repository that the checks read. Each test has a copy, because stand-ins write into it.
READ = (
    *("Cargo.toml", "Makefile", "rust-toolchain.toml", "tests/scripts", "tests/machine", "plugins/steps/helm/engine"),
    *("backend/Dockerfile", "backend/uv.lock", "frontend/Dockerfile", "frontend/package.json"),
    *("frontend/package-lock.json", "tests/browser/package.json", "tests/browser/package-lock.json"),
)
RUSTC = """case "$*" in
  "--print sysroot") [ -d "$SYSROOT" ] && echo "$SYSROOT" ;;
  --version) echo "rustc 1.95.0 (59807616e 2026-04-14)" ;;
  -vV) printf 'rustc 1.95.0\\nhost: x86_64-unknown-linux-gnu\\n' ;;
esac"""
# The shell code of the stand-ins. Each of them also appends its arguments to the file $CALLS.
STAND_INS = {
    "rustc": RUSTC,
    "rustup": 'for program in cargo-fmt cargo-clippy; do mkdir -p "$SYSROOT/bin"; : >"$SYSROOT/bin/$program"; done\n'
    'while [ $# -gt 0 ]; do [ "$1" != --target ] || { mkdir -p "$SYSROOT/lib/rustlib/$2/lib"; '
    ': >"$SYSROOT/lib/rustlib/$2/lib/libstd-0.rlib"; }; shift; done',
    "go": 'case "$1" in version) echo "go version go1.26.8 linux/amd64" ;; esac',
    "node": "echo v22.1.0",
    "npm": "mkdir -p node_modules",
    **dict.fromkeys(("cargo", "cc", "gcc", "make", "curl", "docker", "kubectl", "kind"), ""),
}
TARGETS = ("wasm32-unknown-unknown", "wasm32-wasip2")


class Machine(unittest.TestCase):
    """A machine with everything for `make plugins`, until a test removes something."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.home = Path(scratch.name)
        self.root = self.home / "repository"
        for name in READ:
            copy = self.root / name
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy)
        for words in (["init", "--quiet"], ["add", "Cargo.toml"]):
            subprocess.run(["git", *words], cwd=self.root, check=True)
        self.programs = self.home / "programs"
        self.programs.mkdir()
        self.calls = self.home / "calls"
        self.calls.touch()
        self.environment = {
            "HOME": str(self.home),
            "PATH": str(self.programs),
            "SYSROOT": str(self.home / "sysroot"),
            "CALLS": str(self.calls),
            "ROOT": str(self.root),
        }
        for program in REAL:
            (self.programs / program).symlink_to(shutil.which(program) or program)
        # Marks of an earlier run, so that the test needs little disk space.
        for warm in (".cargo/registry/src/x", ".cache/go-build/trim.txt", ".cache/todohost/target/release/todohost"):
            (self.home / warm).parent.mkdir(parents=True, exist_ok=True)
            (self.home / warm).touch()
        self.stand_in("python3", f'exec {shlex.quote(sys.executable)} "$@"')
        for program, does in STAND_INS.items():
            self.stand_in(program, does)
        for target in TARGETS:
            library = self.home / "sysroot/lib/rustlib" / target / "lib/libstd-0.rlib"
            library.parent.mkdir(parents=True)
            library.touch()
        (self.home / "sysroot/bin").mkdir()
        for program in ("cargo-fmt", "cargo-clippy"):
            (self.home / "sysroot/bin" / program).touch()

    def stand_in(self, program: str, does: str) -> None:
        self.remove(program)
        file = self.programs / program
        file.write_text(f'#!{shutil.which("bash")}\necho "{program} $*" >>"$CALLS"\n{does}\n')
        file.chmod(0o755)

    def remove(self, *programs: str) -> None:
        for program in programs:
            (self.programs / program).unlink(missing_ok=True)

    def run_for(self, command: str, *rest: str) -> tuple[int, str]:
        """The exit code, and the last line."""
        done = subprocess.run(
            [self.root / "tests/scripts/prerequisites", command, *rest],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertNotIn("Traceback", done.stderr)
        lines = (done.stderr + done.stdout).strip().splitlines()
        return done.returncode, lines[-1] if lines else ""

    def refused(self, command: str, *rest: str) -> str:
        code, line = self.run_for(command, *rest)
        self.assertEqual(code, 1, line)
        self.assertTrue(line.startswith(f"make {command}: "), line)
        return line

    def called(self, pattern: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if re.search(pattern, line)]


class Toolchains(Machine):
    def test_a_complete_machine_installs_nothing(self) -> None:
        self.assertEqual(self.run_for("plugins"), (0, ""))
        self.assertEqual(self.called("rustup|apt-get| install| ci"), [])

    def test_missing_rust_go_and_node_are_named_in_one_line(self) -> None:
        self.remove("rustc", "cargo", "rustup", "go")
        line = self.refused("plugins")
        self.assertIn("install Rust by rustup (https://rustup.rs)", line)
        self.assertRegex(line, r"Go 1\.\d+\.\d+ or later is needed")
        self.remove("node", "npm")
        self.assertIn("install Node.js 20 or later with npm", self.refused("frontend"))

    def test_a_cargo_outside_path_is_named(self) -> None:
        self.remove("rustc", "cargo", "rustup")
        (self.home / ".cargo/bin").mkdir(parents=True)
        (self.home / ".cargo/bin/cargo").touch()
        self.assertIn(f"type `. {self.home}/.cargo/env`", self.refused("plugins"))

    def test_an_old_go_is_refused_with_its_place(self) -> None:
        self.stand_in("go", 'echo "go version go1.19.8 linux/amd64"')
        self.assertIn(f"{self.programs}/go is go1.19.8: install it from https://go.dev/dl", self.refused("plugins"))

    def test_an_old_node_is_refused(self) -> None:
        self.stand_in("node", "echo v18.20.4")
        self.assertIn("is v18.20.4: install Node.js 20 or later", self.refused("frontend"))

    def test_missing_targets_are_installed_without_auto_install(self) -> None:
        self.environment["RUSTUP_AUTO_INSTALL"] = "0"
        shutil.rmtree(self.home / "sysroot/lib/rustlib/wasm32-wasip2")
        self.assertEqual(self.run_for("plugins")[0], 0)
        wanted = " ".join(f"--target {target}" for target in TARGETS)
        self.assertEqual(len(self.called(f"rustup toolchain install [0-9.]+ .*--component clippy {wanted}$")), 1)

    def test_a_missing_toolchain_is_installed(self) -> None:
        shutil.rmtree(self.home / "sysroot")
        self.assertEqual(self.run_for("plugins")[0], 0)
        self.assertEqual(len(self.called("^rustup toolchain install")), 1)

    def test_rustup_failure_is_reported_with_reason_and_log(self) -> None:
        shutil.rmtree(self.home / "sysroot/lib/rustlib/wasm32-wasip2")
        self.stand_in("rustup", "echo 'error: could not download file: dns error' >&2; exit 1")
        line = self.refused("plugins")
        self.assertIn("rustup failed: error: could not download file: dns error; the log is", line)
        self.assertTrue(Path(line.rpartition(" ")[2]).exists(), line)

    def test_a_rust_without_rustup_must_have_everything(self) -> None:
        self.remove("rustup")
        self.assertEqual(self.run_for("plugins")[0], 0)
        shutil.rmtree(self.home / "sysroot/lib/rustlib/wasm32-wasip2")
        self.assertIn("lacks wasm32-wasip2: install Rust by rustup", self.refused("plugins"))
        self.stand_in("rustc", RUSTC.replace("rustc 1.95.0 (", "rustc 1.63.0 ("))
        self.assertIn("is needed and this is rustc 1.63.0", self.refused("plugins"))

    def test_a_compiler_without_its_library_is_refused(self) -> None:
        self.stand_in("cc", "echo 'x.h:33:10: fatal error: bits/libc-header-start.h: No such file' >&2; exit 1")
        line = self.refused("plugins")
        self.assertIn("cc makes no program: x.h:33:10: fatal error: bits/libc-header-start.h: No such file", line)

    def test_an_old_python_is_refused(self) -> None:
        self.stand_in("python3", 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
        self.assertIn("Python 3.11 or later is needed as python3, which is Python 3.9.2", self.refused("plugins"))
        self.remove("python3")
        self.assertIn("which is missing", self.refused("plugins"))


class Registries(Machine):
    def test_unreachable_registries_are_named_in_one_line_with_the_way_out(self) -> None:
        self.stand_in("cargo", "echo 'warning: spurious network error: Could not resolve host: x' >&2; exit 101")
        line = self.refused("plugins")
        self.assertRegex(
            line, "cannot fetch crates: .*Could not resolve host: x; check the network, or set HTTPS_PROXY"
        )
        self.stand_in("go", STAND_INS["go"].replace("esac", "mod) echo 'go: dial tcp: timeout' >&2; exit 1 ;; esac"))
        self.assertIn("cannot fetch crates, Go modules: ", self.refused("plugins"))

    def test_other_failures_do_not_blame_the_network(self) -> None:
        self.stand_in("cargo", "echo 'error: the lock file needs to be updated but --locked was passed' >&2; exit 101")
        line = self.refused("plugins")
        self.assertIn("the lock file needs to be updated", line)
        self.assertNotIn("network", line)

    def test_npm_packages_are_installed_once_for_a_lock_file(self) -> None:
        self.assertEqual(self.run_for("frontend")[0], 0)
        self.assertEqual(self.run_for("frontend")[0], 0)
        self.assertEqual(len(self.called("^npm ci ")), 1)


class Packages(Machine):
    """Debian packages, for root and for other users."""

    def setUp(self) -> None:
        super().setUp()
        self.stand_in("apt-get", "")
        self.environment["TODO_BROWSER"] = str(self.home / "chromium")

    def expect(self, command: str, *packages: str) -> None:
        """Root calls apt-get once; for other users the line has the command to type."""
        code, line = self.run_for(command)
        installed = self.called("^apt-get install") if os.geteuid() == 0 else [line]
        for package in packages:
            self.assertRegex(installed[-1], rf" {package}( |$)", (code, line))
        if os.geteuid() == 0:
            self.assertEqual(len(self.called("^apt-get update")), 1)
            self.assertEqual(len(installed), 1)

    def test_missing_basics_are_installed_together(self) -> None:
        self.remove("git", "curl", "gcc")
        self.expect("plugins", "git", "curl", "gcc")

    def test_the_browser_is_installed_first(self) -> None:
        self.expect("browser", "chromium")

    def test_cross_compilers_bring_what_debian_only_recommends(self) -> None:
        self.remove("aarch64-linux-gnu-gcc", "x86_64-w64-mingw32-gcc")
        self.expect("cross", "gcc-aarch64-linux-gnu", "gcc-mingw-w64-x86-64")
        self.assertIn("libc6-dev-arm64-cross", CROSS)

    def test_without_apt_the_programs_are_named(self) -> None:
        self.remove("apt-get", "curl")
        self.assertIn("install these first: curl", self.refused("plugins"))

    @unittest.skipUnless(os.geteuid() == 0, "only root calls the package manager")
    def test_apt_failure_is_reported_with_reason_and_log(self) -> None:
        self.remove("curl")
        self.stand_in("apt-get", "echo 'E: Unable to locate package curl' >&2; exit 100")
        self.assertIn("failed: E: Unable to locate package curl; the log is", self.refused("plugins"))


class Surroundings(Machine):
    """A machine with an engine of its own: `docker version` answers."""

    def test_a_missing_cluster_is_reported_before_the_build(self) -> None:
        self.remove("kind", "minikube")
        self.assertIn("no local cluster", self.refused("up"))
        self.assertIn("minikube is not in PATH: install minikube", self.refused("up", "minikube"))

    def test_images_are_pulled_and_registries_asked_before_the_build(self) -> None:
        self.stand_in("docker", 'case "$1" in image) exit 1 ;; esac')
        self.assertEqual(self.run_for("up", "kind")[0], 0)
        self.assertEqual(len(self.called("^docker pull .*python:")), 1)
        self.assertEqual(len(self.called("^docker pull .*postgres:")), 1)
        self.assertEqual(len(self.called("^npm view ")), 1)
        self.run_for("up", "kind")
        self.assertEqual(len(self.called("^npm view ")), 1)

    def test_all_tests_need_a_database(self) -> None:
        for warm in (".cache/todohost/machine/x",):
            (self.home / warm).mkdir(parents=True)
        self.assertIn("set DATABASE_URL to a PostgreSQL", self.refused("test"))


class Commands(Machine):
    def test_every_command_that_compiles_has_its_prerequisites(self) -> None:
        target = ""
        for line in (ROOT / "Makefile").read_text().splitlines():
            if found := re.match(r"([a-z-]+):", line):
                target = found.group(1)
            if line.startswith("\t") and "$(as_built)" in line:
                self.assertIn(target, COMMANDS)

    def test_an_unknown_command_is_refused(self) -> None:
        self.assertEqual(self.run_for("nothing")[0], 2)
        self.assertNotEqual(self.run_for("")[0], 0)

    def test_scripts_of_the_program_do_not_check_again(self) -> None:
        self.stand_in("program", 'exec "$ROOT/tests/scripts/prerequisites" "$1" "" "$BASH" -c \'echo "$0"\' "$2"')
        code, line = self.run_for("up", "kind", "program", "plugins", "two words")
        self.assertEqual((code, line), (0, "two words"))
        self.assertEqual(len(self.called("^cargo fetch")), 1)
        self.run_for("plugins", "", "program", "up", "")
        self.assertEqual(len(self.called("^cargo fetch")), 3)

    def test_the_program_does_not_start_after_a_failed_check(self) -> None:
        self.remove("go")
        self.stand_in("program", "")
        self.assertEqual(self.run_for("plugins", "", "program")[0], 1)
        self.assertEqual(self.called("^program"), [])


class NewMachine(unittest.TestCase):
    def test_empty_homes_are_filled_without_auto_install(self) -> None:
        """Toolchain, targets, crates and Go modules are installed for real."""
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            names = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "RUSTUP_HOME", "CARGO_HOME", "GOMODCACHE", "GOCACHE")
            homes = {name: str(home / name) for name in names}
            # So that the folder of modules can be removed.
            own = {**os.environ, **homes, "RUSTUP_AUTO_INSTALL": "0", "GOFLAGS": "-modcacherw"}
            for name in ("CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN", "TODOHOST_PREREQUISITES_MET"):
                own.pop(name, None)
            command = [str(ROOT / "tests/scripts/prerequisites"), "plugins"]
            done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            for target in TARGETS:
                self.assertTrue(list(home.glob(f"RUSTUP_HOME/toolchains/*/lib/rustlib/{target}/lib/libstd-*")), target)
            self.assertTrue(list(home.glob("CARGO_HOME/registry/cache/*/serde-1*.crate")))
            self.assertTrue(list(home.glob("GOMODCACHE/helm.sh/helm/v4@*")))
            again = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
            self.assertEqual((again.returncode, again.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
