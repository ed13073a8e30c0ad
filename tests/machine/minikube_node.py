"""The image of minikube's nodes: the shared parts of nodes, and minikube's own files."""

import shutil

from machine import kubernetes, node_parts
from machine.engine import image_exists
from machine.go_module import fetched
from machine.place import HERE, write
from machine.process import run, say

MODULE = "k8s.io/minikube"
VERSION = "v1.36.0"
FILES = HERE / "minikube-node"


def reference() -> str:
    """Returns the image's name, with a digest of its sources."""
    return f"todohost.test/kicbase:{VERSION}-{node_parts.made_from(HERE / 'minikube_node.py', FILES)}"


def up() -> str:
    """Builds the image if the engine lacks it; returns its name."""
    image = reference()
    if not image_exists(image):
        _build(image)
    return image


def _build(image: str) -> None:
    context = node_parts.node_context("minikube-node", FILES)
    say("making the minikube node image")
    # minikube's own files come from its Go module at build time and are not stored here.
    run("cp", "-r", "--no-preserve=mode", fetched(MODULE, VERSION) / "deploy/kicbase", context / "kicbase")
    write(context / "version", kubernetes.version())
    node_parts.build(context, image)
    shutil.rmtree(context)
