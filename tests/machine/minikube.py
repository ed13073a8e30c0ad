"""minikube: the program, and the cluster of its default profile."""

import json
import platform
from pathlib import Path

from machine import cluster, engine, kubernetes, minikube_node
from machine.engine import docker
from machine.go_module import fetched
from machine.minikube_node import FILES, MODULE, VERSION
from machine.place import STATE, cached, link_programs, write
from machine.process import logged, run, say, succeeds

NAME = "minikube"
HOME = STATE / "minikube-home"
# Arguments of docker that list everything minikube created.
MADE = ("--filter", "label=created_by.minikube.sigs.k8s.io=true")
# Programs that minikube copies to its nodes.
BINARIES = ("kubeadm", "kubelet", "kubectl")


def environment() -> dict[str, str]:
    """Returns the variables of the program, without those of the engine."""
    return {"MINIKUBE_HOME": str(HOME), "KUBECONFIG": str(cluster.KUBECONFIG)}


def up() -> None:
    """Builds the program and the node image, and creates or starts the cluster."""
    write(folder() / "minikube", script(_program(), minikube_node.up()), 0o755)
    processor = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    cache = HOME / ".minikube" / "cache" / "linux" / processor / kubernetes.version()
    link_programs(cache, BINARIES, kubernetes.binary())
    # Without this setting minikube would search the network for a newer version.
    write(HOME / ".minikube" / "config" / "config.json", json.dumps({"WantUpdateNotification": False}))
    if not is_up():
        say("starting minikube")
        logged("minikube", folder() / "minikube", "start", "--keep-context", f"--profile={NAME}", env=_all())


def script(program: Path, image: str) -> str:
    """Returns the script for users: the program with the options for a cluster on this machine."""
    text = (FILES / "minikube").read_text().replace("@IMAGE@", image)
    return text.replace("@KUBERNETES@", kubernetes.version()).replace("@MINIKUBE@", str(program))


def folder() -> Path:
    """Returns the folder with the program for users."""
    return STATE / "minikube"


def is_up() -> bool:
    """Returns whether its node is ready."""
    kubectl = (kubernetes.programs() / "kubectl", "--context", NAME)
    ready = ("wait", f"node/{NAME}", "--for=condition=Ready", "--timeout=5s")
    return cluster.KUBECONFIG.exists() and succeeds(*kubectl, *ready, env=_all())


def _all() -> dict[str, str]:
    return {**engine.environment(), **environment()}


def _program() -> Path:
    def build(output: Path) -> None:
        say(f"compiling minikube {VERSION}")
        stamp = f"-s -w -X {MODULE}/pkg/version.version={VERSION}"
        logged(
            "minikube-build",
            *("go", "build", "-trimpath", "-ldflags", stamp, "-o", output, "./cmd/minikube"),
            cwd=fetched(MODULE, VERSION),
            env={"CGO_ENABLED": "0"},
        )

    return cached(f"minikube-{VERSION}", build)


def down() -> None:
    """Removes the clusters of all profiles before their engine is stopped."""
    if not succeeds("docker", "version", env=engine.environment()):
        return
    program = folder() / "minikube"
    if program.exists() and docker("ps", "-aq", *MADE) and succeeds(program, "version", env=_all()):
        say("removing minikube")
        run(program, "delete", "--all", env=_all())
    # The program is in the cache; if the cache was cleared, the engine removes the nodes, volumes and networks.
    for node in docker("ps", "-aq", *MADE).split():
        docker("rm", "--force", "--volumes", node)
    for kind in ("volume", "network"):
        for thing in docker(kind, "ls", "-q", *MADE).split():
            docker(kind, "rm", thing)
