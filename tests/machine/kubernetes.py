"""One binary with etcd, the whole of Kubernetes and CoreDNS, built from Go modules: no image registry needed."""

import re
from pathlib import Path

from machine.place import HERE, STATE, cached, key, link_programs
from machine.process import MachineError, logged, run, say

SOURCE = HERE / "kubernetes-binary"
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubeadm",
    "kubectl",
    "coredns",
)


def version() -> str:
    """Returns the Kubernetes version that go.mod pins, e.g. `v1.35.4`."""
    found = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v[0-9.]+)$", (SOURCE / "go.mod").read_text(), re.M)
    if not found:
        raise MachineError(f"{SOURCE}/go.mod does not require k8s.io/kubernetes")
    return found.group(1)


def binary() -> Path:
    """Returns the binary, built once for each content of go.sum and the sources."""

    def build(output: Path) -> None:
        say(f"compiling Kubernetes {version()} (minutes, once)")
        major, minor, _ = version()[1:].split(".")
        stamp = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags = ["-s", "-w"]
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {package}.{name}={value}" for name, value in stamp.items()]
        logged(
            "kubernetes-build",
            *("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", " ".join(flags), "-o", output, "."),
            cwd=SOURCE,
            env={"CGO_ENABLED": "0"},
        )

    return cached(name(), build)


def name() -> str:
    """The binary's name in the cache."""
    sources = sorted(path for path in SOURCE.rglob("*") if path.suffix in {".go", ".mod", ".sum"})
    return f"kubernetes-{version()}-{key(run('go', 'version'), *sources)}"


def programs() -> Path:
    """Returns a folder with a link for each program."""
    folder = STATE / "kubernetes"
    link_programs(folder, PROGRAMS, binary())
    return folder
