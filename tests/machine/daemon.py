"""Daemons that outlive this program: started once, found again, stopped.

The machine lacks an init for this. A daemon is identified by its process id *and* start time, so that a recycled id is
never mistaken for it; a zombie (PID 1 may reap late) counts as dead.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from machine.place import LOGS, RUN
from machine.process import MachineError, wait_until

# The process records itself before it becomes the daemon: even if this program is killed early, the next one knows
# every running daemon.
WRITE_DOWN = """\
started=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20) &&
printf '{"pid": %s, "started": %s}' "$$" "$started" >"$0.partial" && mv "$0.partial" "$0" && exec "$@"
"""


def process_state(stat: str) -> tuple[str, int]:
    """Returns state letter and start time (clock ticks since boot) from a line of /proc/PID/stat."""
    # The name in parentheses can contain blanks and parentheses, so the fields are counted from its end.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def started_at(pid: int) -> int | None:
    """Returns the start time of a living process; `None` for an ended one or a zombie."""
    try:
        state, start = process_state(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else start


@dataclass(frozen=True)
class Daemon:
    """A daemon, identified by its name."""

    name: str

    @property
    def record(self) -> Path:
        """Path of the record of its process."""
        return RUN / "daemons" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """Path of its output."""
        return LOGS / f"{self.name}.log"

    def pid(self) -> int | None:
        """Returns its process id, or `None` if it does not run."""
        try:
            known = json.loads(self.record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        alive = started_at(known["pid"]) == known["started"]
        return int(known["pid"]) if alive else None

    def start(self, *command: str | Path, env: Mapping[str, str] | None = None, user: str | None = None) -> bool:
        """Starts the daemon unless it runs; returns whether it was started."""
        if self.pid() is not None:
            return False
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        self.record.unlink(missing_ok=True)
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        with self.log.open("a") as output:
            child = subprocess.Popen(
                ["sh", "-c", WRITE_DOWN, self.record, *as_user, *(str(word) for word in command)],
                env={**os.environ, **(env or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: self.record.exists() or child.poll() is not None, f"{self.name} to start", 10)
        self.must_live()
        return True

    def must_live(self) -> None:
        """Raises an error with its last output if it does not run."""
        if self.pid() is None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise MachineError(f"{self.name} ended unexpectedly:\n{tail}")

    def stop(self, seconds: float = 15, first: signal.Signals = signal.SIGTERM) -> bool:
        """Stops the daemon, by SIGKILL after `seconds`; returns whether it ran."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, first)
            deadline = time.monotonic() + seconds
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: self.pid() is None, f"{self.name} to end", 10)
                    break
                time.sleep(0.05)
        self.record.unlink(missing_ok=True)
        return pid is not None
