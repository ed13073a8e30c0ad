"""Fetches the packages of registries before anything is compiled, so that an unreachable registry ends the run early.

The command needs every one of these packages. When all are present, no function here uses the network.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from cause import cause
from locations import CACHE, LOGS, ROOT, STATE

from machine.process import LoggedError, MachineError, logged, say, succeeds

NETWORK = re.compile(
    r"resolve|connect|timed? ?out|unreachable|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|dial tcp|proxy|No route"
    r"|certificate|download|spurious network|Could not fetch|from versions: none",
    re.I,
)
# Packages of PyPI, each list in a virtual environment of its own: for `make check`, and for the macOS type check.
PYTHON_TOOLS = ("ruff==0.14.*", "mypy==1.*", "uv==0.*")
C_COMPILER_FOR_MACOS = ("ziglang",)
PATIENCE = 30.0
NPM_TRIES = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")


class FetchError(MachineError):
    """A registry client failed. Has the title of the packages, the reason, and the log."""

    def __init__(self, title: str, log: Path) -> None:
        """The reason is the first line of the log about the network; without one, the log's `cause`."""
        text = log.read_text(errors="replace")
        about_network = next((line.strip() for line in text.splitlines() if NETWORK.search(line)), None)
        self.title, self.log, self.reason = title, log, (about_network or cause(text)).removeprefix("warning: ")
        self.is_network = about_network is not None
        super().__init__(fetch_errors([self]))


def fetch_errors(errors: Sequence[FetchError]) -> str:
    """Failed fetches as one line with one reason: without a network, all of them fail for the same."""
    titles = ", ".join(dict.fromkeys(error.title for error in errors))
    way = "check the network, or set HTTPS_PROXY; " if any(error.is_network for error in errors) else ""
    logs = f"the log is {errors[0].log}" if len(errors) == 1 else f"the logs are in {errors[0].log.parent}"
    return f"cannot fetch {titles}: {errors[0].reason}; {way}{logs}"


def fetch(name: str, title: str, *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Runs a registry client with its output in a log, and reports a client that is slow."""
    waiting = threading.Timer(PATIENCE, say, (f"still fetching {title}: {LOGS / name}.log",))
    waiting.daemon = True
    waiting.start()
    try:
        logged(name, *command, cwd=cwd, env=env, logs=LOGS)
    except LoggedError as error:
        raise FetchError(title, error.log) from error
    finally:
        waiting.cancel()


def crates(targets: Sequence[str]) -> None:
    """Fetches the crates of Cargo.lock for the given targets; for all targets if none is given."""
    only = [word for target in targets for word in ("--target", target)]
    # An unreachable registry fails after two tries of half a minute, unless the user set other limits.
    limits = {
        name: os.environ.get(name, value)
        for name, value in {"CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "30"}.items()
    }
    fetch("crates", "crates", "cargo", "fetch", "--locked", *only, env=limits)


def go_modules(folder: Path) -> None:
    """Fetches the modules of one go.mod."""
    name = f"go-modules-{folder.name}"
    fetch(name, "Go modules", "go", "mod", "download", cwd=folder)


def npm_packages(folder: Path) -> None:
    """Installs the npm packages of a folder's package-lock.json, unless that lock file is installed already."""
    stamp = folder / "node_modules/.installed"
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text().strip() == lock:
        return
    say(f"installing the npm packages of {folder.relative_to(ROOT)}")
    options = ("--no-audit", "--no-fund", "--loglevel=error", *NPM_TRIES)
    fetch(f"npm-{folder.name}", "npm packages", "npm", "ci", *options, cwd=folder)
    stamp.write_text(f"{lock}\n")


def python_packages(folder: str, wanted: Sequence[str], program: str) -> None:
    """Makes a virtual environment in the cache with some packages. `program` is a file of the finished environment."""
    place = CACHE / "tools" / folder
    stamp = place / "installed.json"
    if (place / program).exists() and stamp.exists() and json.loads(stamp.read_text()) == list(wanted):
        return
    say(f"installing {' '.join(wanted)}")
    if not (place / "bin/python").exists():
        shutil.rmtree(place, ignore_errors=True)
        fetch(
            f"venv-{folder}", f"a virtual environment ({sys.executable} -m venv)", sys.executable, "-m", "venv", place
        )
    pip = (place / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1")
    fetch(f"pip-{folder}", "Python packages", *pip, *wanted)
    stamp.write_text(json.dumps(list(wanted)))


def images() -> None:
    """Pulls the base images of the app, and the image of the database unless DATABASE_URL names a database."""
    names = set()
    for service in ("backend", "frontend"):
        names.update(re.findall(r"^FROM\s+(\S+:\S+)", (ROOT / service / "Dockerfile").read_text(), re.M | re.I))
    if not os.environ.get("DATABASE_URL"):
        names.update(re.findall(r"\bpostgres:\d+", (ROOT / "tests/scripts/database").read_text()))
    for name in sorted(names):
        if not succeeds("docker", "image", "inspect", name):
            say(f"pulling {name}")
            fetch(f"pull-{name.replace(':', '-')}", f"the image {name}", "docker", "pull", "--quiet", name)


def npm_answers() -> None:
    """Asks npm for one package of the frontend, because the deploy installs all of them at its very end."""
    if not shutil.which("npm"):
        return
    lock = ROOT / "frontend/package-lock.json"
    name, version = next(iter(json.loads((ROOT / "frontend/package.json").read_text())["dependencies"].items()))
    ask("npm", "npm packages", lock, "npm", "view", *NPM_TRIES, f"{name}@{version}", "version")


def pypi_answers() -> None:
    """Asks PyPI for the package that the backend is built with, for the same reason."""
    if not find_spec("pip"):
        return
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "-q", "--retries", "1")
    with tempfile.TemporaryDirectory() as folder:
        # The Python of a distribution refuses an installation without a folder of its own.
        ask("pypi", "Python packages", ROOT / "backend/uv.lock", *pip, "--target", folder, "uv==0.*")


def ask(registry: str, title: str, lock: Path, *command: str) -> None:
    """Asks a registry, unless it answered before and the lock file is unchanged."""
    stamp = STATE / f"{registry}-answered"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text().strip() != digest:
        say(f"asking for {title}")
        fetch(f"{registry}-asked", title, *command)
        STATE.mkdir(parents=True, exist_ok=True)
        stamp.write_text(f"{digest}\n")
