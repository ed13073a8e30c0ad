"""Debian packages: installed ones, and Docker's from the next release, which are only unpacked."""

import os
import re
import shutil
from pathlib import Path

from machine.place import STATE, cached, key, write
from machine.process import MachineError, logged, run, say

INSTALLED = {
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
    "libfaketime": "/usr/share/doc/libfaketime",
}

# bookworm's Docker (20.10) has no containerd image store; trixie's runs unchanged on bookworm, except for its runc.
UNPACKED = ("docker.io", "containerd", "docker-buildx", "docker-cli")


def install(wanted: dict[str, str]) -> None:
    """Installs the packages whose witness file is missing."""
    missing = [name for name, witness in wanted.items() if not Path(witness).exists()]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise MachineError(f"install these first: {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    # Another session may hold the package manager's lock: wait for it.
    lock = ("-o", "DPkg::Lock::Timeout=600")
    logged("apt-update", "apt-get", "update", "-q", *lock)
    logged(
        "apt-install",
        "apt-get",
        "install",
        "-qy",
        "--no-install-recommends",
        *lock,
        *missing,
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


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
