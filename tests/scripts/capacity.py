"""Checks that disk and memory are large enough for the builds and tests of a command."""

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
    """Disk space of one folder in GB, before and after its first use. The path `filled` exists after the first use."""

    name: str
    folder: Path
    cold: float
    warm: float
    filled: Path

    def gigabytes(self) -> float:
        """The space that a run may still add."""
        return self.warm if self.filled.exists() else self.cold


def shares(everything: bool, machine: bool) -> list[Share]:
    """The shares of `make test` (`everything`) or of a build, with our engine and clusters (`machine`) or without."""
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
    """Raises if the free space of a file system is smaller than the sum of the shares on it."""
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
    """The memory of this machine or container in bytes; `None` if the system does not report it."""
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
    """Raises if there is less memory. With too little, the kernel kills the linker, or a cluster beside it."""
    # A machine sold with 8 GB reports a little less.
    if there is not None and there < gigabytes * 0.9 * GIB:
        raise MachineError(
            f"this machine has {there / GIB:.1f} GB of memory and {gigabytes:g} are needed: give it more"
        )
