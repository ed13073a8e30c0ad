"""Compiles the Rust tests and runs them without cargo, because its lock keeps one kind from running beside another.

    rust_tests.py build                                       compile all test programs
    rust_tests.py run KIND [FILTER] [OPTION...]               run the tests of a kind with FILTER in their name
    rust_tests.py build-and-run KIND [FILTER] [OPTION...]     compile only this kind before

KIND is `cli`, `cluster` or `targets`, the program of that name, or `unit`, all other programs. An OPTION is one of
libtest. A FILTER that is the name of a package stands for all tests of it. TODOHOST_PROFILE names the profile. A filter
that matches no test is an error.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

KINDS = ("cli", "cluster", "targets")
UNIT = "unit"
# Programs of unit tests that run at the same time. Each has a thread per processor itself.
AT_ONCE = 2


@dataclass(frozen=True)
class Program:
    """A test program."""

    package: str
    target: str
    folder: str
    executable: str

    @property
    def kind(self) -> str:
        """The class of tests that it holds."""
        return self.target if self.target in KINDS else UNIT

    def run(self, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs it as cargo does: in the folder of its package."""
        environment = {**os.environ, "CARGO_MANIFEST_DIR": self.folder}
        return subprocess.run(
            [self.executable, *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
        )


def is_dev() -> bool:
    """Whether the profile is that of development."""
    return os.environ.get("TODOHOST_PROFILE") == "dev"


def options() -> list[str]:
    """The options of cargo that choose the profile."""
    return ["--profile", "dev"] if is_dev() else ["--release"]


def list_file() -> Path:
    """The programs of the last build of everything."""
    return Path(os.environ["CARGO_TARGET_DIR"], "debug" if is_dev() else "release", "test-programs.json")


def programs_in(messages: Iterator[str]) -> list[Program]:
    """The test programs among the messages that cargo prints as JSON."""
    found = []
    for line in messages:
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
            folder = str(Path(message["manifest_path"]).parent)
            found.append(
                Program(package(message["package_id"]), message["target"]["name"], folder, message["executable"])
            )
    return sorted(found, key=lambda program: (program.folder, program.target))


def package(identity: str) -> str:
    """The name in a package id of cargo: `path+file:///PATH#NAME@VERSION`, or without `NAME@` if the folder has it."""
    path, _, name = identity.rpartition("#")
    return name.split("@")[0] if "@" in name else path.rsplit("/", 1)[-1]


def build(kinds: list[str]) -> list[Program]:
    """Compiles the programs of these kinds, or all; ends this program if that fails."""
    selected = [option for kind in kinds for option in ("--test", kind)]
    command = ["cargo", "test", *options(), "--workspace", "--no-run", "--message-format=json-render-diagnostics"]
    with subprocess.Popen([*command, *selected], stdout=subprocess.PIPE, text=True) as cargo:
        assert cargo.stdout is not None  # noqa: S101  (it is a pipe)
        found = programs_in(iter(cargo.stdout))
    if cargo.returncode:
        sys.exit(cargo.returncode)
    if not kinds:
        list_file().write_text(json.dumps([asdict(program) for program in found]))
    return found


def built() -> list[Program]:
    """The programs of the last build of everything."""
    return [Program(**program) for program in json.loads(list_file().read_text())]


def names(program: Program, arguments: list[str]) -> list[str]:
    """The tests that the program would run with these arguments."""
    listed = program.run("--list", *arguments, capture=True).stdout
    return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]


def run_one(program: Program, arguments: list[str]) -> bool:
    """Runs a program in the foreground."""
    return program.run(*arguments).returncode == 0


def run_aside(program: Program, arguments: list[str]) -> bool:
    """Runs a program beside others; its output comes in one piece, and in full only after a failure."""
    began = time.monotonic()
    done = program.run("--quiet", *arguments, capture=True)
    result = next((line for line in done.stdout.splitlines() if line.startswith("test result:")), "")
    where = f"{Path(program.folder).name}/{program.target}"
    if done.returncode:
        print(f"{done.stdout}\n{where}: failed", flush=True)
    else:
        print(f"{where}: {result.removeprefix('test result: ')} in {time.monotonic() - began:.1f} s", flush=True)
    return done.returncode == 0


def run(kind: str, arguments: list[str], programs: list[Program]) -> int:
    """Runs the tests of a kind; gives the exit code."""
    wanted = [program for program in programs if program.kind == kind]
    has_filter = bool(arguments) and not arguments[0].startswith("-")
    if has_filter and any(program.package == arguments[0] for program in wanted):
        wanted = [program for program in wanted if program.package == arguments[0]]
        arguments = arguments[1:]
    elif has_filter:
        wanted = [program for program in wanted if names(program, arguments)]
        if not wanted:
            print(f"no {kind} test has a name with '{arguments[0]}' in it", file=sys.stderr)
            return 1
    skipped = [argument for option, argument in pairwise(arguments) if option == "--skip"]
    for name in skipped:
        if not any(names(program, [name, "--include-ignored"]) for program in wanted):
            print(f"no {kind} test has a name with '{name}' in it, to be skipped", file=sys.stderr)
            return 1
    if kind == UNIT:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            passed = list(pool.map(lambda program: run_aside(program, arguments), wanted))
    else:
        passed = [run_one(program, arguments) for program in wanted]
    return 0 if all(passed) else 1


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    match arguments:
        case ["build"]:
            build([])
            return 0
        case ["run", kind, *rest] if kind in (*KINDS, UNIT):
            return run(kind, [argument for argument in rest if argument], built())
        case ["build-and-run", kind, *rest] if kind in (*KINDS, UNIT):
            programs = build([] if kind == UNIT else [kind])
            return run(kind, [argument for argument in rest if argument], programs)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
