"""minikube: the program, and the cluster of the profile that it is named after."""

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
# The engine's question for what minikube made of itself.
MADE = ("--filter", "label=created_by.minikube.sigs.k8s.io=true")
# What minikube brings to its nodes.
BINARIES = ("kubeadm", "kubelet", "kubectl")


def environment() -> dict[str, str]:
    """What the program needs besides the engine."""
    return {"MINIKUBE_HOME": str(HOME), "KUBECONFIG": str(cluster.KUBECONFIG)}


def up() -> None:
    """Makes the program, the node image and the cluster, and starts it where it is stopped."""
    write(folder() / "minikube", script(_program(), minikube_node.up()), 0o755)
    processor = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    cache = HOME / ".minikube" / "cache" / "linux" / processor / kubernetes.version()
    link_programs(cache, BINARIES, kubernetes.binary())
    # It would ask the network for a newer one.
    write(HOME / ".minikube" / "config" / "config.json", json.dumps({"WantUpdateNotification": False}))
    if not is_up():
        say("starting minikube")
        logged("minikube", folder() / "minikube", "start", "--keep-context", f"--profile={NAME}", env=_all())


def script(program: Path, image: str) -> str:
    """What users call: the program, with what a cluster needs that is made on this machine."""
    text = (FILES / "minikube").read_text().replace("@IMAGE@", image)
    return text.replace("@KUBERNETES@", kubernetes.version()).replace("@MINIKUBE@", str(program))


def folder() -> Path:
    """The folder with the program that users call."""
    return STATE / "minikube"


def is_up() -> bool:
    """Whether its node is ready."""
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
    """Removes the clusters of every profile: their engine is about to stop."""
    if not succeeds("docker", "version", env=engine.environment()):
        return
    program = folder() / "minikube"
    if program.exists() and docker("ps", "-aq", *MADE) and succeeds(program, "version", env=_all()):
        say("removing minikube")
        run(program, "delete", "--all", env=_all())
    # The program is called out of the cache: where that was cleared, the engine removes what it made.
    for node in docker("ps", "-aq", *MADE).split():
        docker("rm", "--force", "--volumes", node)
    for kind in ("volume", "network"):
        for thing in docker(kind, "ls", "-q", *MADE).split():
            docker(kind, "rm", thing)
