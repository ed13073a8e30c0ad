"""kind: the program, and its nodes after a restart. Users of kind create the clusters."""

from functools import partial
from pathlib import Path

from machine import kind_node
from machine.engine import docker, environment
from machine.kind_node import FILES, MODULE, VERSION
from machine.place import STATE, cached, write
from machine.process import logged, run, say, succeeds, wait_until

# Arguments of `docker ps` that list the nodes of all clusters.
MADE = ("--filter", "label=io.x-k8s.kind.cluster")
NODES = ("ps", "-aq", *MADE)


def folder() -> Path:
    """Returns the folder with the program for users."""
    return STATE / "kind"


def up() -> None:
    """Builds the program and the node image, and starts the nodes that a stopped engine left."""
    image = kind_node.up()
    script = (FILES / "kind").read_text()
    write(folder() / "kind", script.replace("@IMAGE@", image).replace("@KIND@", str(_program())), 0o755)
    for node in docker(*NODES, "--filter", "status=exited").split():
        say(f"starting kind's node {node}")
        docker("start", node)
    # The engine restarts some nodes automatically.
    for node in docker(*NODES).split():
        wait_until(partial(_serves, node), "kind's node to serve", 120)


def _serves(node: str) -> bool:
    # Not only /readyz: after a restart the API server answers before it has loaded its roles.
    ready = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "wait", "node", "--all", "--for=condition=Ready")
    return succeeds("docker", "exec", node, *ready, env=environment())


def _program() -> Path:
    def install(output: Path) -> None:
        say(f"compiling kind {VERSION}")
        logged("kind-build", "go", "install", f"{MODULE}@{VERSION}", env={"GOBIN": str(output), "CGO_ENABLED": "0"})

    return cached(f"kind-{VERSION}", install) / "kind"


def down() -> None:
    """Removes the nodes of all clusters before their engine is stopped."""
    if not succeeds("docker", "version", env=environment()):
        return
    # kind wrote into the users' kubeconfig.
    own = {**environment(), "KUBECONFIG": str(STATE / "kubeconfig")}
    program = folder() / "kind"
    if program.exists() and succeeds(program, "version"):
        for name in run(program, "get", "clusters", env=own).split():
            say(f"removing the kind cluster {name}")
            run(program, "delete", "cluster", "--name", name, env=own)
    # The program is in the cache; if the cache was cleared, the engine removes the nodes.
    for node in docker(*NODES).split():
        docker("rm", "--force", "--volumes", node)
    succeeds("docker", "network", "rm", "kind", env=own)
