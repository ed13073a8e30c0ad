"""Shared parts of kind's and minikube's nodes: a root of Debian packages, and the images of a control plane.

The products' own files are in `kind_node` and `minikube_node`.
"""

import shutil
from pathlib import Path

from machine import kubernetes, packages
from machine.engine import PAUSE_IMAGE, docker, environment, image_exists
from machine.place import HERE, STATE, cached, key, remove
from machine.process import logged, run, say

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "containerd", "runc", "conntrack", "iptables", "nftables", "iproute2"),
    *("ethtool", "kmod", "jq", "procps", "socat", "containernetworking-plugins", "mount", "util-linux", "bash"),
    *("ca-certificates", "libseccomp2"),
    # Programs that minikube runs on its nodes.
    *("openssh-server", "sudo", "curl"),
)
CONTROL_PLANE = HERE / "control-plane"


def _root_archive() -> Path:
    def make(output: Path) -> None:
        say("bootstrapping the root of the nodes")
        suite = "bookworm"
        logged(
            "mmdebstrap-node",
            *("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            *("--format=tar", "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*"),
            *(suite, output, f"deb [signed-by={packages.keyring()}] {packages.mirror()} {suite} main"),
        )

    return cached(f"node-root-{key(*PACKAGES)}.tar", make)


def root() -> str:
    """Returns the image of the root, after building it if the engine lacks it."""
    image = f"todohost.test/node-root:{key(*PACKAGES)}"
    if not image_exists(image):
        docker("import", _root_archive(), image)
    return image


def control_plane() -> Path:
    """Returns an archive of the images that kubeadm requires, all made from the one binary."""

    def make(output: Path) -> None:
        say("making the images of the control plane")
        context = fresh_context("control-plane", CONTROL_PLANE)
        link(kubernetes.binary(), context / "kubernetes")
        image = "todohost.test/control-plane:1"
        build(context, image)
        shutil.rmtree(context)
        wanted = image_names()
        pause = pause_name()
        for name in wanted:
            docker("tag", PAUSE_IMAGE if name == pause else image, name)
        docker("save", "-o", output, *wanted)
        docker("rmi", *wanted, image)

    return cached(f"control-plane-{made_from()}.tar", make)


def image_names() -> list[str]:
    """Returns the images that kubeadm requires."""
    kubeadm = kubernetes.programs() / "kubeadm"
    return run(kubeadm, "config", "images", "list", "--kubernetes-version", kubernetes.version()).split()


def pause_name() -> str:
    """Returns the name of the pause image."""
    return next(name for name in image_names() if "/pause:" in name)


def made_from(*sources: Path) -> str:
    """Returns the cache key of an image with the root, the binary, and these files and folders."""
    own = (HERE / "node_parts.py", HERE / "runc-without-resource", CONTROL_PLANE)
    files = [
        file for source in (*own, *sources) for file in (sorted(source.iterdir()) if source.is_dir() else [source])
    ]
    return key(kubernetes.binary().name, *PACKAGES, *files)


def fresh_context(name: str, files: Path) -> Path:
    """Returns a build context with a copy of these files."""
    context = STATE / f"{name}-context"
    remove(context)
    shutil.copytree(files, context)
    return context


def node_context(name: str, files: Path) -> Path:
    """Returns a build context of a node: these files with the binary, the runtime and the control plane's images."""
    archive = control_plane()
    context = fresh_context(name, files)
    shutil.copy(HERE / "runc-without-resource", context)
    link(kubernetes.binary(), context / "kubernetes")
    link(archive, context / "control-plane.tar")
    return context


def build(context: Path, image: str) -> None:
    """Builds an image on the root."""
    options = ("--progress=plain", "--build-arg", f"ROOT={root()}", "-t", image)
    logged(context.name.removesuffix("-context"), "docker", "build", *options, context, env=environment())


def link(source: Path, target: Path) -> None:
    """Links a file to another path; copies it if a hard link is not possible."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy(source, target)
