"""Checks of compilers and interpreters, and the installation of Rust's components and targets.

Users install Rust, Go and Node.js themselves; the error of each check has the words to type.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from locations import LOGS, ROOT

from machine.process import MachineError, logged, run, say

# A program of each component in rust-toolchain.toml.
COMPONENTS = {"rustfmt": "cargo-fmt", "clippy": "cargo-clippy"}
CROSS_TARGETS = ("aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "aarch64-apple-darwin")
# The Debian packages with a C compiler for a linked target are named gcc- and one of these.
CROSS_COMPILERS = ("aarch64-linux-gnu", "mingw-w64-x86-64")
HELM_ENGINE = ROOT / "plugins/steps/helm/engine"
KUBERNETES = ROOT / "tests/machine/kubernetes-binary"
# Compiles only with the headers of a C library, and links only with its start files.
PROGRAM = '#include <stdio.h>\nint main(void) { puts(""); return 0; }\n'
GET_RUST = "install Rust by rustup (https://rustup.rs)"


def number(text: str) -> tuple[int, ...]:
    """The first version number in a text: `go1.26.8` is (1, 26, 8)."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


class Rust:
    """The toolchain of rust-toolchain.toml with additional targets."""

    def __init__(self, more_targets: Sequence[str] = (), root: Path = ROOT) -> None:
        """For the repository at `root`."""
        wanted = tomllib.loads((root / "rust-toolchain.toml").read_text())["toolchain"]
        self.root = root
        self.channel: str = wanted["channel"]
        self.components: list[str] = wanted["components"]
        self.targets: list[str] = [*wanted["targets"], *more_targets]

    def lacking(self) -> list[str]:
        """The missing components and targets of the toolchain in use; the channel if no toolchain is in use."""
        try:
            # Without this variable rustup installs the toolchain here, silently and for a minute.
            sysroot = Path(run("rustc", "--print", "sysroot", cwd=self.root, env={"RUSTUP_AUTO_INSTALL": "0"}).strip())
        except MachineError:
            return [self.channel]
        components = [name for name in self.components if not (sysroot / "bin" / COMPONENTS[name]).exists()]
        libraries = sysroot / "lib/rustlib"
        return components + [name for name in self.targets if not any((libraries / name / "lib").glob("libstd-*"))]

    def check(self) -> None:
        """Raises if something is missing that only rustup can install, and rustup is missing, too."""
        if not shutil.which("cargo") or not shutil.which("rustc"):
            home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
            if (home / "bin/cargo").exists():
                raise MachineError(f"cargo is not in PATH: type `. {home}/env`")
            raise MachineError(GET_RUST)
        if shutil.which("rustup"):
            return
        version = run("rustc", "--version", cwd=self.root).strip()
        if number(version) < number(self.channel):
            raise MachineError(f"Rust {self.channel} is needed and this is {version}: {GET_RUST}")
        lacking = self.lacking()
        if lacking:
            raise MachineError(f"{version} at {shutil.which('rustc')} lacks {' '.join(lacking)}: {GET_RUST}")

    def install(self) -> None:
        """Installs missing parts by rustup."""
        lacking = self.lacking()
        if not lacking:
            return
        toolchain = os.environ.get("RUSTUP_TOOLCHAIN") or self.channel
        say(f"installing Rust {toolchain} with {' '.join([*self.components, *self.targets])}")
        parts = [word for name in self.components for word in ("--component", name)]
        parts += [word for name in self.targets for word in ("--target", name)]
        command = ("rustup", "toolchain", "install", toolchain, "--profile", "minimal", "--no-self-update", *parts)
        logged("rustup", *command, logs=LOGS)
        lacking = self.lacking()
        if lacking:
            rustc = shutil.which("rustc")
            raise MachineError(
                f"{rustc} is not rustup's and lacks {' '.join(lacking)}: put rustup's folder first, "
                'export PATH="$HOME/.cargo/bin:$PATH"'
            )


def check_go(modules: Sequence[Path] = (HELM_ENGINE, KUBERNETES)) -> None:
    """Raises unless Go is new enough for these modules."""
    found = [re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.M) for module in modules]
    wanted = max((match.group(1) for match in found if match), key=number)
    go = shutil.which("go")
    if not go:
        usual = Path("/usr/local/go/bin/go")
        way = f'export PATH="{usual.parent}:$PATH"' if usual.exists() else "install it from https://go.dev/dl"
        raise MachineError(f"Go {wanted} or later is needed: {way}")
    # In the module's folder, because Go reports the version there that it would switch to.
    version = run("go", "version", cwd=modules[0]).split()[2]
    if number(version) < number(wanted):
        raise MachineError(
            f"Go {wanted} or later is needed and {go} is {version}: install it from https://go.dev/dl, first in PATH"
        )


def check_node(package: Path = ROOT / "tests/browser/package.json") -> None:
    """Raises unless npm exists and Node.js is new enough for the package."""
    wanted = json.loads(package.read_text())["engines"]["node"].removeprefix(">=")
    get = f"install Node.js {wanted} or later with npm (https://nodejs.org)"
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise MachineError(get)
    version = run("node", "--version").strip()
    if number(version) < number(wanted):
        raise MachineError(f"{shutil.which('node')} is {version}: {get}")


def check_compiler(compiler: str, *options: str, way: str = "") -> None:
    """Raises unless a C compiler compiles and links a program. `way` replaces the advice how to install one."""
    with tempfile.TemporaryDirectory() as folder:
        command = (compiler, *options, "-x", "c", "-o", f"{folder}/program", "-")
        try:
            run(*command, text=PROGRAM, timeout=60)
        except MachineError as error:
            name = " ".join((compiler, *options))
            raise MachineError(f"{name} makes no program: {_first(error)}: {way or get_compiler()}") from error


def get_compiler() -> str:
    """The advice how to install a C compiler on this system."""
    if platform.system() == "Darwin":
        return "type: xcode-select --install"
    return "install gcc and the headers of its C library (Debian: gcc and libc6-dev)"


def check_git(root: Path = ROOT) -> None:
    """Raises unless git lists the files of the checkout, as the scripts and the build require."""
    if not shutil.which("git"):
        raise MachineError("install git")
    done = subprocess.run(
        ["git", "ls-files", "--error-unmatch", "Cargo.toml"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        way = next(
            (line.strip() for line in said if "safe.directory" in line and "git config" in line), "use a git clone"
        )
        raise MachineError(f"git does not list the files of {root}: {said[0] if said else 'no reason given'}; {way}")


def _first(error: MachineError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[-1])
