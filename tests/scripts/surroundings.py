"""Checks of the engine, the cluster and the database on this machine, or of a bare machine that will be given them."""

import os
import platform
import shutil
import socket
from pathlib import Path

from machine import cluster, kubernetes, packages, place, postgres
from machine.command_line import not_bare
from machine.daemon import Daemon
from machine.process import MachineError, run, succeeds

# Capabilities by their bits, as in linux/capability.h.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
PORTS = {
    2379: cluster.ETCD,
    6443: cluster.API_SERVER,
    10250: cluster.KUBELET,
    10257: cluster.CONTROLLERS,
    10259: cluster.SCHEDULER,
    postgres.PORT: postgres.SERVER,
}


def is_bare() -> bool:
    """Whether tests/machine makes engine and cluster: on Debian, as root, without an engine or a cluster of its own."""
    return not_bare() is None


def check_bare() -> None:
    """Raises if no engine and no cluster can start on this bare machine."""
    if platform.machine() not in {"x86_64", "aarch64"}:
        raise MachineError(f"no cluster can be made on {platform.machine()}: use a machine with Docker")
    status = Path("/proc/self/status").read_text()
    lacking = [name for name, bit in CAPABILITIES.items() if not effective(status) >> bit & 1]
    if lacking:
        raise MachineError(f"no engine can start here without {' and '.join(lacking)}: run in a privileged container")
    packages.mirror()
    if not packages.keyring().exists():
        raise MachineError("the keys of Debian's archive are missing: apt-get install -y debian-archive-keyring")
    cluster.address()
    check_ports(PORTS)


def effective(status: str) -> int:
    """The effective capabilities as a bit mask, from the text of /proc/PID/status."""
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)


def check_ports(ports: dict[int, Daemon]) -> None:
    """Raises if another program listens on the port of a daemon that is not started yet."""
    for port, daemon in ports.items():
        if daemon.pid() is None and _is_taken(port):
            raise MachineError(f"another program has port {port}, which {daemon.name} needs: stop it (ss -tlnp)")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def check_own(target: str, everything: bool) -> None:
    """Raises if the machine's own engine, cluster or database is missing or does not answer."""
    if not shutil.which("docker"):
        raise MachineError("install Docker Desktop and switch its Kubernetes on, or Docker and kind or minikube")
    try:
        run("docker", "version", timeout=20)
    except MachineError as error:
        raise MachineError("`docker version` does not answer: start Docker") from error
    programs = ["kubectl", "kind"] if everything else [target] if target in {"kind", "minikube"} else []
    for program in programs:
        if not shutil.which(program):
            raise MachineError(f"{program} is not in PATH: install {program}")
    if everything:
        if not os.environ.get("DATABASE_URL"):
            raise MachineError("set DATABASE_URL to a PostgreSQL that containers and pods reach")
        ready = ("kubectl", "--context", cluster.NAME, "get", "--raw", "/readyz", "--request-timeout=10s")
        if not succeeds(*ready):
            raise MachineError(f"the context {cluster.NAME} does not answer: switch Docker Desktop's Kubernetes on")
    elif not target and not _may_have_cluster():
        raise MachineError("no local cluster: switch Docker Desktop's Kubernetes on, or install kind or minikube")


def _may_have_cluster() -> bool:
    files = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    known = any(Path(name).is_file() for name in files.split(os.pathsep) if name)
    return known or bool(shutil.which("kind") or shutil.which("minikube"))


def kubernetes_is_built() -> bool:
    """Whether the cache has the Kubernetes binary for the clusters of a bare machine."""
    return (place.CACHE / kubernetes.name()).exists()
