"""Folders, and the keys of the cache.

`CACHE` holds expensive, machine-independent files under a digest of their sources. `STATE` holds data of this machine:
daemons, certificates, passwords. Removing either costs only time.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todohost" / "machine"
# Not in a home folder: the database's user needs access, and socket paths must be short.
STATE = Path(os.environ.get("TODOHOST_MACHINE_STATE", "/var/lib/todohost-machine"))
RUN = STATE / "run"
LOGS = STATE / "log"


def key(*parts: str | bytes | Path) -> str:
    """Returns a short digest of texts and contents of files, in order."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Returns the cached file or folder `name`, made once: a killed run leaves no entry that looks complete."""
    final = CACHE / name
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
    remove(partial)
    try:
        make(partial)
        partial.rename(final)
    finally:
        remove(partial)
    return final


def remove(path: Path) -> None:
    """Removes a file or a whole folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.chmod(mode)
    partial.rename(path)


def link_programs(folder: Path, programs: Iterable[str], target: Path) -> None:
    """Links the names of a multi-call binary."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        link = folder / program
        if not (link.is_symlink() and link.readlink() == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
