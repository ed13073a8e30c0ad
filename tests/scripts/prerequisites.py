"""prerequisites.py COMMAND [TARGET [PROGRAM...]]: makes sure of everything that `make COMMAND` needs.

It installs missing Debian packages (as root), parts of the Rust toolchain, and packages of registries. If the user has
to install something, or the machine is too small, it ends with one line and the words to type. Every run checks
everything, except that npm and PyPI are asked once for each lock file. Then it starts the program. The scripts that
the program calls do not check again.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import capacity
import dependencies
import surroundings
import toolchains
from cause import cause
from dependencies import FetchError, fetch_errors
from locations import LOGS, ROOT

from machine import packages
from machine.process import LoggedError, MachineError, run

# The needs of the commands of the Makefile, and of the scripts that users also call without make.
COMMANDS: dict[str, set[str]] = {
    "plugins": {"rust", "go"},
    "build": {"rust", "go"},
    "unit": {"rust", "go"},
    "cli": {"rust", "go"},
    "documents": {"rust"},
    "check": {"rust", "lint", "node"},
    "cluster": {"rust", "go", "cluster"},
    "up": {"rust", "go", "cluster"},
    "soak": {"rust", "go", "cluster"},
    "bench": {"rust", "go", "cluster"},
    "cross": {"rust", "cross"},
    "frontend": {"node"},
    "browser": {"node", "browser"},
    "test": {"rust", "go", "cluster", "node", "browser", "cross", "lint"},
}
FRONTEND = ROOT / "frontend"
BROWSER = ROOT / "tests/browser"
# An environment variable with the commands that need no further check. `prerequisites` reads it.
MET = "TODOHOST_PREREQUISITES_MET"
Task = Callable[[], None]


def together(tasks: Iterable[Task]) -> None:
    """Runs tasks in parallel; raises one error with the lines of all that failed."""
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(task) for task in tasks]
    errors = [error for done in running if (error := done.exception())]
    for error in errors:
        if not isinstance(error, MachineError):
            raise error
    fetches = [error for error in errors if isinstance(error, FetchError)]
    problems = [one_line(error) for error in errors if isinstance(error, MachineError) and error not in fetches]
    if fetches:
        problems.append(fetch_errors(fetches))
    if problems:
        raise MachineError("; ".join(dict.fromkeys(problems)))


def one_line(error: MachineError) -> str:
    """The error as one line: with the reason and the path of a log instead of its lines."""
    if isinstance(error, LoggedError):
        return f"{error.command} failed: {cause(error.log.read_text(errors='replace'))}; the log is {error.log}"
    return " ".join(str(error).split())


class Prerequisites:
    """The prerequisites of one command, in the order of the checks."""

    def __init__(self, command: str, target: str) -> None:
        """For a command of `COMMANDS` and its target, which may be empty."""
        self.needs = COMMANDS[command]
        self.everything = command == "test"
        self.target = target
        self.bare = "cluster" in self.needs and surroundings.is_bare()
        self.rust = toolchains.Rust(toolchains.CROSS_TARGETS if "cross" in self.needs else ())

    def meet(self) -> None:
        """Checks, installs and fetches in parallel within each phase; raises after a phase with errors."""
        together(self.given())
        together(self.installed())
        together(self.proven())
        together(self.fetched())

    def given(self) -> list[Task]:
        """Checks of the machine, and of tools that only the user can install."""
        tasks: list[Task] = []
        if "rust" in self.needs:
            tasks.append(self.rust.check)
            wanted = capacity.shares(self.everything, self.bare)
            tasks.append(partial(capacity.check_disk, wanted))
            tasks.append(partial(capacity.check_memory, 8 if self.everything else 4, capacity.memory()))
        if "go" in self.needs:
            tasks.append(toolchains.check_go)
        if "node" in self.needs or self.bare:
            tasks.append(toolchains.check_node)
        if self.bare:
            tasks.append(surroundings.check_bare)
        elif "cluster" in self.needs:
            tasks.append(partial(surroundings.check_own, self.target, self.everything))
        return tasks

    def installed(self) -> list[Task]:
        """Installations by package manager and rustup."""
        tasks: list[Task] = [partial(packages.install, self.packages(), LOGS)]
        if "rust" in self.needs:
            tasks.append(self.rust.install)
        return tasks

    def packages(self) -> dict[str, str]:
        """Debian packages with their witnesses; without apt-get only those with a program as their witness."""
        wanted = dict(packages.BASICS)
        if not shutil.which("apt-get"):
            wanted = {name: witness for name, witness in wanted.items() if not witness.startswith("/")}
            wanted["gcc"] = "cc"
        if {"lint", "cross"} & self.needs and not find_spec("ensurepip"):
            # A package of its own in Debian. Its witness is the module just looked for, so no path stands for it.
            wanted["python3-venv"] = "/no/ensurepip"
        if self.bare:
            wanted |= packages.for_machine()
        if "browser" in self.needs:
            wanted |= packages.browser()
        if "cross" in self.needs:
            wanted |= packages.CROSS
        return wanted

    def proven(self) -> list[Task]:
        """Checks that installed tools work."""
        tasks: list[Task] = [toolchains.check_git]
        if "rust" in self.needs:
            tasks.append(partial(toolchains.check_compiler, "cc"))
        if self.bare:
            tasks.append(partial(toolchains.check_compiler, "gcc", "-static"))
        if "cross" in self.needs:
            way = f"install {' '.join(packages.CROSS)} of Debian"
            compilers = [packages.CROSS[f"gcc-{name}"] for name in toolchains.CROSS_COMPILERS]
            tasks += [partial(toolchains.check_compiler, compiler, way=way) for compiler in compilers]
        return tasks

    def fetched(self) -> list[Task]:
        """Packages of registries."""
        tasks: list[Task] = []
        if "rust" in self.needs:
            own = next(line for line in run("rustc", "-vV", cwd=ROOT).splitlines() if line.startswith("host: "))
            targets = [] if "cross" in self.needs else [own.removeprefix("host: "), *self.rust.targets]
            tasks.append(partial(dependencies.crates, targets))
        if "go" in self.needs:
            tasks.append(partial(dependencies.go_modules, toolchains.HELM_ENGINE))
        if self.bare and not surroundings.kubernetes_is_built():
            tasks.append(partial(dependencies.go_modules, toolchains.KUBERNETES))
        if self.needs == COMMANDS["frontend"] or {"lint", "node"} <= self.needs:
            tasks.append(partial(dependencies.npm_packages, FRONTEND))
        if "browser" in self.needs:
            tasks.append(partial(dependencies.npm_packages, BROWSER))
        if "lint" in self.needs:
            tasks.append(partial(dependencies.python_packages, "python", dependencies.PYTHON_TOOLS, "bin/ruff"))
        if "cross" in self.needs:
            tasks.append(partial(dependencies.python_packages, "zig", dependencies.C_COMPILER_FOR_MACOS, "bin/pip"))
        if "cluster" in self.needs:
            tasks += [dependencies.npm_answers, dependencies.pypi_answers]
            if not self.bare:
                tasks.append(dependencies.images)
        return tasks


def main(arguments: list[str]) -> int:
    """The exit code."""
    command, target = [*arguments, "", ""][:2]
    program = arguments[2:]
    if command not in COMMANDS:
        print(f"prerequisites: expected one of {', '.join(COMMANDS)}, not `{command}`", file=sys.stderr)
        return 2
    try:
        Prerequisites(command, target).meet()
    except MachineError as error:
        print(f"make {command}: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if program:
        os.environ[MET] = " ".join(other for other, needs in COMMANDS.items() if needs <= COMMANDS[command])
        os.execvp(program[0], program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
