"""The image of kind's nodes: the shared parts of nodes, and kind's own files."""

import shutil

from machine import kubernetes, node_parts
from machine.engine import image_exists
from machine.go_module import fetched
from machine.place import HERE, write
from machine.process import run, say

MODULE = "sigs.k8s.io/kind"
VERSION = "v0.33.0"
FILES = HERE / "kind-node"


def reference() -> str:
    """Returns the image's name: the published name with the Kubernetes version and a digest of the sources."""
    return f"kindest/node:{kubernetes.version()}-{node_parts.made_from(HERE / 'kind_node.py', FILES)}"


def up() -> str:
    """Builds the image if the engine lacks it; returns its name."""
    image = reference()
    if not image_exists(image):
        _build(image)
    return image


def _build(image: str) -> None:
    context = node_parts.node_context("kind-node", FILES)
    say("making the kind node image")
    write(context / "version", kubernetes.version())
    # kind's own files come from its Go module at build time and are not stored here.
    run("cp", "-r", "--no-preserve=mode", fetched(MODULE, VERSION) / "images/base/files", context / "base-files")
    write(context / "base-files/kind/version.pause", node_parts.pause_name())
    node_parts.build(context, image)
    shutil.rmtree(context)
