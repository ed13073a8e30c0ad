"""The image of kind's nodes: a root file system from Debian packages, kind's own files, one binary of Kubernetes."""

import json
import shutil
from pathlib import Path

from machine import kubernetes, packages
from machine.engine import PAUSE_IMAGE, docker, environment, image_exists
from machine.place import HERE, STATE, cached, key, write
from machine.process import logged, run, say

MODULE = "sigs.k8s.io/kind"
VERSION = "v0.33.0"
BASE_IMAGE = "todohost.test/kind-base:1"
FILES = HERE / "kind-node"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "containerd", "runc", "conntrack", "iptables", "nftables", "iproute2"),
    *("ethtool", "kmod", "jq", "procps", "socat", "containernetworking-plugins", "mount", "util-linux", "bash"),
    *("ca-certificates", "libseccomp2"),
)


def reference() -> str:
    """Named as the published ones are, with the version that is in it and what it is made from."""
    sources = (HERE / "kind_node.py", HERE / "runc-without-resource", *sorted(FILES.iterdir()))
    made_from = key(kubernetes.binary().name, *sources)
    return f"kindest/node:{kubernetes.version()}-{made_from}"


def up() -> str:
    """Gives the engine the image if it lacks it; returns its name."""
    image = reference()
    if not image_exists(image):
        _build_node(image)
    return image


def _base_root() -> Path:
    def make(output: Path) -> None:
        say("bootstrapping the root of the kind node")
        suite = "bookworm"
        logged(
            "mmdebstrap-kind",
            *("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            *("--format=tar", "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*"),
            *(suite, output, f"deb [signed-by={packages.keyring()}] {packages.mirror()} {suite} main"),
        )

    return cached(f"kind-base-{key(*PACKAGES)}.tar", make)


def _build_node(image: str) -> None:
    if not image_exists(BASE_IMAGE):
        docker("import", _base_root(), BASE_IMAGE)
    say("making the kind node image")
    context = STATE / "kind-context"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(FILES, context)
    shutil.copy(HERE / "runc-without-resource", context)
    _link(kubernetes.binary(), context / "kubernetes")
    write(context / "version", kubernetes.version())
    # kind's own files come from its module at build time; nothing of them is kept here.
    module = json.loads(run("go", "mod", "download", "-json", f"{MODULE}@{VERSION}"))
    run("cp", "-r", "--no-preserve=mode", f"{module['Dir']}/images/base/files", context / "base-files")
    wanted = run(
        *(kubernetes.programs() / "kubeadm", "config", "images", "list"),
        *("--kubernetes-version", kubernetes.version()),
    ).split()
    pause = next(name for name in wanted if "/pause:" in name)
    write(context / "base-files/kind/version.pause", pause)
    write(context / "images.tar", "")
    control_plane = "todohost.test/kind-control-plane:1"
    _build(context, "--target", "kubernetes", "-t", control_plane)
    for name in wanted:
        docker("tag", PAUSE_IMAGE if name == pause else control_plane, name)
    (context / "images.tar").unlink()
    docker("save", "-o", context / "images.tar", *wanted)
    _build(context, "--target", "node", "-t", image)
    shutil.rmtree(context)
    docker("rmi", *wanted, control_plane)


def _build(context: Path, *arguments: str) -> None:
    logged("kind-node", "docker", "build", "--progress=plain", *arguments, context, env=environment())


def _link(source: Path, link: Path) -> None:
    try:
        link.hardlink_to(source)
    except OSError:
        shutil.copy(source, link)
