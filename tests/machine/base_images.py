"""Stand-ins for the published base images that the Todo app's Dockerfiles name.

They have the upstream tags, paths and users, so that the Dockerfiles are what everybody needs. They differ in this:
the Python one is Debian trixie's Python 3.13 (links at /usr/local/bin), and both trust this machine's certificates.
The label `todohost.stand-in` says so.
"""

import platform
import shutil
import tarfile
from pathlib import Path

from machine import packages
from machine.engine import docker, image_exists
from machine.place import HERE, STATE, cached, key
from machine.process import logged, run, say

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PYTHON = "python:3.13-slim-bookworm"
NODE = "node:22-slim"
NODE_VERSION = "22"
NPM_VERSION = "11"

# What clients in a container need to trust the certificates that this machine trusts.
TRUST = {
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt",
    "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
    "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
}


def up() -> None:
    """Gives the engine the images that it lacks."""
    if not image_exists(PYTHON):
        _import(PYTHON, python_root(), {"PYTHON_VERSION": "3.13", "LANG": "C.UTF-8"}, '["python3"]')
    if not image_exists(NODE):
        _import(NODE, node_root(), {"NODE_VERSION": NODE_VERSION}, '["node"]')


def _import(reference: str, root: Path, environment: dict[str, str], command: str) -> None:
    say(f"importing the stand-in for {reference}")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    changes = [f"ENV {name}={value}" for name, value in {"PATH": path, **TRUST, **environment}.items()]
    changes += [f"CMD {command}", f'LABEL todohost.stand-in="made from Debian packages, not the published {reference}"']
    docker("import", *(word for change in changes for word in ("--change", change)), root, reference)


def _bootstrap(output: Path, suite: str, include: str, hooks: list[str]) -> None:
    logged(
        f"mmdebstrap-{output.name.strip('.').partition('-')[0]}",
        "mmdebstrap",
        "--variant=minbase",
        f"--include={include}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--format=tar",
        *(f"--customize-hook={hook}" for hook in hooks),
        f"--customize-hook=copy-in {CERTIFICATES} /etc/ssl/certs",
        "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*",
        suite,
        output,
        f"deb [signed-by={packages.keyring()}] {packages.mirror()} {suite} main",
    )


def python_root() -> Path:
    """Root file system for Python."""

    def make(output: Path) -> None:
        say("bootstrapping the root of the Python image")
        hooks = [
            'for name in python python3 python3.13; do ln -s /usr/bin/python3.13 "$1/usr/local/bin/$name"; done',
            'for name in pip pip3; do ln -s /usr/bin/pip3 "$1/usr/local/bin/$name"; done',
            "rm -f $1/usr/lib/python3.13/EXTERNALLY-MANAGED",
            "mkdir -p $1/usr/local/lib/python3.13/dist-packages",
            "ln -s dist-packages $1/usr/local/lib/python3.13/site-packages",
        ]
        _bootstrap(output, "trixie", "python3.13,python3.13-venv,python3-pip,ca-certificates", hooks)

    return cached(f"python-{key(HERE / 'base_images.py', CERTIFICATES)}.tar", make)


def node_root() -> Path:
    """Root file system for Node.js: the binary and npm as npm packages, on bookworm."""

    def make(output: Path) -> None:
        say("bootstrapping the root of the Node.js image")
        folder = STATE / "node-root"
        shutil.rmtree(folder, ignore_errors=True)
        processor = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
        _unpack(f"node-linux-{processor}@{NODE_VERSION}", folder, folder / "usr/local/node-package")
        _unpack(f"npm@{NPM_VERSION}", folder, folder / "usr/local/lib/node_modules/npm")
        programs = folder / "usr/local/bin"
        programs.mkdir(parents=True)
        shutil.move(folder / "usr/local/node-package/bin/node", programs / "node")
        shutil.rmtree(folder / "usr/local/node-package")
        (programs / "node").chmod(0o755)
        (programs / "nodejs").symlink_to("node")
        for name in ("npm", "npx"):
            (programs / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
            (folder / f"usr/local/lib/node_modules/npm/bin/{name}-cli.js").chmod(0o755)
        archive = STATE / "node-root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, arcname=".", filter=_owned_by_root)
        hooks = [
            f"tar-in {archive} /",
            'chroot "$1" groupadd --gid 1000 node',
            'chroot "$1" useradd --uid 1000 --gid node --shell /bin/bash --create-home node',
        ]
        _bootstrap(output, "bookworm", "ca-certificates,libatomic1,libstdc++6", hooks)
        shutil.rmtree(folder)
        archive.unlink()

    return cached(f"node-{key(HERE / 'base_images.py', CERTIFICATES)}.tar", make)


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _unpack(package: str, work: Path, folder: Path) -> None:
    """Unpacks an npm package as the registry has it, without running anything of it."""
    work.mkdir(parents=True, exist_ok=True)
    name = run("npm", "pack", "--silent", package, cwd=work).strip().splitlines()[-1]
    folder.mkdir(parents=True)
    run("tar", "-xzf", work / name, "-C", folder, "--strip-components=1", "--no-same-owner")
    (work / name).unlink()
