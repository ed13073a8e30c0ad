"""Debian packages: lists of packages to install by purpose, and Docker's packages of the next release, only unpacked.

Packages are installed without their recommendations. A list names the recommended packages that its purpose needs.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from machine.place import LOGS, STATE, cached, key, write
from machine.process import MachineError, logged, run, say

# Each package has a witness: a pattern of paths or the name of a program. A package without its witness is missing.
BASICS = {
    "git": "git",
    "make": "make",
    "curl": "curl",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}
ENGINE = {
    "iptables": "/usr/sbin/iptables",
    "runc": "/usr/sbin/runc",
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "conntrack": "/usr/sbin/conntrack",
    "socat": "/usr/bin/socat",
    "ebtables": "/usr/sbin/ebtables",
    "ipset": "/usr/sbin/ipset",
    "iproute2": "/usr/sbin/ip",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "openssl": "/usr/bin/openssl",
    "libfaketime": "/usr/lib/*/faketime/libfaketimeMT.so.1",
}
DATABASE = {"postgresql": "/usr/lib/postgresql/*/bin/postgres"}
BROWSER = {"chromium": "/usr/bin/chromium"}
CROSS = {
    "gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc",
    # Headers and start files, which the cross compiler only recommends.
    "libc6-dev-arm64-cross": "/usr/aarch64-linux-gnu/include/stdio.h",
    "gcc-mingw-w64-x86-64": "x86_64-w64-mingw32-gcc",
    "wine64": "/usr/lib/wine/wine64",
}

# bookworm's Docker (20.10) has no containerd image store; trixie's runs unchanged on bookworm, except for its runc.
UNPACKED = ("docker.io", "containerd", "docker-buildx", "docker-cli")


def missing(wanted: Mapping[str, str]) -> list[str]:
    """The missing packages."""
    return [name for name, witness in wanted.items() if not _is_there(witness)]


def _is_there(witness: str) -> bool:
    if witness.startswith("/"):
        return any(Path("/").glob(witness[1:]))
    return shutil.which(witness) is not None


def for_machine() -> dict[str, str]:
    """The packages of engine and clusters, with a database unless DATABASE_URL names one."""
    return ENGINE if os.environ.get("DATABASE_URL") else {**ENGINE, **DATABASE}


def browser() -> dict[str, str]:
    """The package of the browser. TODO_BROWSER names another program as its witness."""
    own = os.environ.get("TODO_BROWSER")
    return {name: own or witness for name, witness in BROWSER.items()}


def install(wanted: Mapping[str, str], logs: Path = LOGS) -> None:
    """Installs the missing packages."""
    names = missing(wanted)
    if not names:
        return
    if shutil.which("apt-get") is None:
        raise MachineError(f"install these first: {' '.join(names)}")
    if os.geteuid() != 0:
        raise MachineError(f"type: sudo apt-get install -y {' '.join(names)}")
    say(f"installing {' '.join(names)}")
    # Another package manager may hold the lock: wait for it.
    lock = ("-o", "DPkg::Lock::Timeout=600")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    failed_update = None
    try:
        logged("apt-update", "apt-get", "update", "-q", *lock, logs=logs)
    except MachineError as error:
        # The packages may come from a source that works.
        failed_update = error
    try:
        logged(
            "apt-install", "apt-get", "install", "-qy", "--no-install-recommends", *lock, *names, env=quiet, logs=logs
        )
    except MachineError as error:
        raise failed_update or error from None


def mirror() -> str:
    """Returns the Debian mirror in this machine's apt sources."""
    for source in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if source.is_file():
            found = re.search(
                r"^(?:URIs:|deb\s+(?:\[[^]]*\]\s+)?)\s*(\S+/debian)/?\s*(?:\s|$)", source.read_text(), re.M
            )
            if found:
                return found.group(1)
    raise MachineError("no Debian mirror in /etc/apt; this needs Debian")


def keyring() -> Path:
    """Returns the keys that sign Debian's archive."""
    return Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def docker_programs() -> Path:
    """Returns the folder with dockerd, containerd, docker, their helpers and the buildx plugin."""

    def unpack(folder: Path) -> None:
        say("fetching Docker's programs")
        apt = STATE / "apt"
        for part in ("lists/partial", "archives/partial"):
            (apt / part).mkdir(parents=True, exist_ok=True)
        write(apt / "sources.list", f"deb [signed-by={keyring()}] {mirror()} trixie main\n")
        write(apt / "status", "")
        own = [
            f"-o=Dir::Etc::sourcelist={apt}/sources.list",
            "-o=Dir::Etc::sourceparts=-",
            f"-o=Dir::State::lists={apt}/lists",
            f"-o=Dir::State::status={apt}/status",
            f"-o=Dir::Cache={apt}",
            "-o=APT::Sandbox::User=root",
        ]
        logged("docker-update", "apt-get", *own, "update", "-q")
        downloads = folder / "downloads"
        downloads.mkdir(parents=True)
        logged("docker-download", "apt-get", *own, "download", *UNPACKED, cwd=downloads)
        for package in sorted(downloads.glob("*.deb")):
            run("dpkg-deb", "-x", package, folder)
        shutil.rmtree(downloads)

    return cached(f"docker-{key(*UNPACKED, 'trixie')}", unpack)
