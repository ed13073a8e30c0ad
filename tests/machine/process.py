"""Commands with an end, and waiting for conditions."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from machine.place import LOGS

BEGAN = time.monotonic()


class MachineError(Exception):
    """An error that is printed in one line."""


class LoggedError(MachineError):
    """A command failed whose output is in a log file."""

    def __init__(self, command: str, code: int, log: Path) -> None:
        """With the last lines of the log."""
        self.command, self.code, self.log = command, code, log
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        super().__init__(f"{command} failed with {code}; the whole log is {log}:\n{tail}")


def say(text: str) -> None:
    """Prints a line of progress, with the seconds since the start of the program."""
    print(f"[{time.monotonic() - BEGAN:6.1f}s] {text}", file=sys.stderr, flush=True)


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
    timeout: float = 600,
) -> str:
    """Runs a command to its end and returns its output; an error has its last lines."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise MachineError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"{' '.join(words[:4])} did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        tail = "\n".join((done.stderr + done.stdout).strip().splitlines()[-15:])
        raise MachineError(f"{' '.join(words[:6])} failed with {done.returncode}:\n{tail}")
    return done.stdout


def logged(
    name: str,
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    logs: Path = LOGS,
) -> None:
    """Runs a long command with its output in the log file `name` of the folder `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    words: Sequence[str] = [str(word) for word in command]
    try:
        with log.open("w") as output:
            done = subprocess.run(
                words,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
    except FileNotFoundError as error:
        raise MachineError(f"{words[0]} is not installed") from error
    if done.returncode != 0:
        raise LoggedError(name, done.returncode, log)


def succeeds(*command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 20) -> bool:
    """Returns whether a command succeeds."""
    try:
        run(*command, env=env, timeout=timeout)
    except MachineError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], what: str, seconds: float, alive: Callable[[], None] | None = None
) -> None:
    """Polls a condition; `alive` can raise an error to end the wait early."""
    deadline = time.monotonic() + seconds
    while not condition():
        if alive:
            alive()
        if time.monotonic() > deadline:
            raise MachineError(f"{what}: still not after {seconds:.0f} s; the logs are in {LOGS}")
        time.sleep(0.1)
