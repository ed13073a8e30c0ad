"""Room for builds and tests: disk and memory, checked before the minutes that would end for want of them."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from locations import ROOT, TARGET

from machine import place
from machine.process import MachineError

GIB = 1 << 30


@dataclass(frozen=True)
class Share:
    """Space that one folder takes: more when it is filled for the first time, which is known by a file that it gets."""

    name: str
    folder: Path
    cold: float
    warm: float
    filled: Path

    def gigabytes(self) -> float:
        """The space that a run may still take."""
        return self.warm if self.filled.exists() else self.cold


def shares(everything: bool, machine: bool) -> list[Share]:
    """The shares of a run: `everything` that `make test` builds, and a `machine` with its own engine and clusters."""
    home = Path.home()
    cargo = Path(os.environ.get("CARGO_HOME") or home / ".cargo")
    go = Path(os.environ.get("GOCACHE") or home / ".cache/go-build")
    # Measured after a first run, and rounded up.
    found = [
        Share("compiled by cargo", TARGET, 6 if everything else 4, 1, TARGET / "release/todohost"),
        Share("crates", cargo, 1, 0.1, cargo / "registry/src"),
        Share("compiled by go", go, 5 if machine else 2, 0.5, go / "trim.txt"),
        Share("temporary files", Path(os.environ.get("TMPDIR") or "/tmp"), 1, 0.5, TARGET / "release/todohost"),
    ]
    if machine:
        found.append(Share("made for the machine", place.CACHE, 1, 0.1, place.CACHE))
        found.append(Share("engine and clusters", place.STATE, 6 if everything else 3, 1, place.STATE / "docker"))
    if everything:
        found.append(Share("packages of the frontend", ROOT / "frontend", 1, 0.1, ROOT / "frontend/node_modules"))
    return found


def check_disk(
    wanted: Iterable[Share], free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
) -> None:
    """Raises where a file system has less space than the folders on it take together."""
    file_systems: dict[int, list[Share]] = {}
    for share in wanted:
        file_systems.setdefault(_existing(share.folder).stat().st_dev, []).append(share)
    problems = []
    for group in file_systems.values():
        needed = sum(share.gigabytes() for share in group)
        there = free(_existing(group[0].folder)) / GIB
        if there < needed:
            parts = ", ".join(f"{share.name} in {share.folder} {share.gigabytes():g}" for share in group)
            problems.append(
                f"{there:.1f} GB are free on the disk of {group[0].folder}, {needed:g} are needed ({parts}): free some"
            )
    if problems:
        raise MachineError("; ".join(problems))


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def memory() -> int | None:
    """The bytes of memory that processes here may use, if the system says."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return total


def check_memory(gigabytes: float, there: int | None) -> None:
    """Raises where there is less memory: the linker, or a cluster beside it, would be killed."""
    # A machine that is sold with 8 GB shows a little less.
    if there is not None and there < gigabytes * 0.9 * GIB:
        raise MachineError(
            f"this machine has {there / GIB:.1f} GB of memory and {gigabytes:g} are needed: give it more"
        )
