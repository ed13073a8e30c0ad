"""Times from a changed line of the backend to its new pod on each target, bytes sent to a node, and target detection.

Ours and the peer take turns, each with its own copy of the app, namespace and images, so that neither uses the other's
cache. The peer is the manual way: `docker build`, `kind load docker-image`, `helm upgrade --wait`. Both end when the
new pod is ready.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from commands import ROOT, WARM_UP, figure

# Node ports of each side's app; the Todo app uses 30000.
NODE_PORTS = {"ours": 30977, "peer": 30978}
SOURCE = Path("backend/src/todo/__main__.py")
CLUSTER = "todohost"


def run(command: list[str], folder: Path = ROOT) -> str:
    """Return the output of a command; exit if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:4])} ... failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def forget(command: list[str], folder: Path = ROOT) -> None:
    """Run a cleanup command, and ignore its failure, which must not hide the first error."""
    subprocess.run(command, cwd=folder, capture_output=True, check=False)


def events(text: str, kind: str) -> list[dict[str, Any]]:
    """Return the events of one kind in the output of a command."""
    lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return [event for event in lines if event.get("event") == kind]


class Side:
    """One side's copy of the app on one target."""

    def __init__(self, folder: Path, name: str, target: str) -> None:
        """Copy the app."""
        self.folder, self.name, self.target = folder / f"{name}-{target}", name, target
        self.namespace = f"todo-loop-{name}"
        self.context = f"kind-{CLUSTER}" if target == "kind" else target
        for part in ("backend", "frontend", "helm"):
            ignored = shutil.ignore_patterns("node_modules", ".next", ".venv", "__pycache__", ".*_cache", "coverage")
            shutil.copytree(ROOT / part, self.folder / part, ignore=ignored)

    def change(self) -> None:
        """Add a new line to the backend's source."""
        with (self.folder / SOURCE).open("a", encoding="utf-8") as file:
            file.write(f"# {time.time_ns()}\n")

    def deploy(self) -> str:
        """Deploy the app; return the output."""
        raise NotImplementedError

    def timed(self) -> float:
        """Return the seconds from the change to the pod."""
        self.change()
        began = time.perf_counter()
        self.printed = self.deploy()
        return time.perf_counter() - began


class Ours(Side):
    """Deploys with todohost."""

    def __init__(self, folder: Path, target: str, program: str, key: Path) -> None:
        """Set separate names of images and namespace, and a separate port."""
        super().__init__(folder, "ours", target)
        text = (ROOT / "todohost.toml").read_text(encoding="utf-8")
        # Other image names than those of an app that is already deployed.
        text = text.replace("todo-backend", "bench-backend").replace("todo-frontend", "bench-frontend")
        named = text.replace('namespace = "todo-app"', f'namespace = "{self.namespace}"\nvalues = ["bench.yaml"]')
        (self.folder / "todohost.toml").write_text(named, encoding="utf-8")
        values = f"frontend:\n  service:\n    nodePort: {NODE_PORTS['ours']}\n"
        (self.folder / "bench.yaml").write_text(values, encoding="utf-8")
        self.program, self.key = program, key

    def deploy(self) -> str:
        """Deploy the app; return the events."""
        secrets = ["--secret", "secrets.databaseUrl=env:DATABASE_URL"]
        secrets += ["--secret", f"secrets.jwtSecret=file:{self.key}"]
        command = [self.program, "deploy", "--target", self.target, "--yes", "--output", "json", *secrets]
        return run(command, self.folder)

    def delete(self) -> None:
        """Delete the app and its namespace."""
        forget([self.program, "delete", "--target", self.target, "--yes", "--with-namespace"], self.folder)


class Peer(Side):
    """Deploys with docker, kind and helm."""

    def __init__(self, folder: Path, target: str, helm: str, key: Path) -> None:
        """Deliver the frontend's image, which does not change."""
        super().__init__(folder, "peer", target)
        self.helm, self.key = helm, key
        self.bring("frontend", "peer-frontend:1")

    def bring(self, part: str, image: str) -> None:
        """Build an image and load it into the nodes."""
        run(["docker", "build", "--quiet", "--tag", image, part], self.folder)
        if self.target == "kind":
            run(["kind", "load", "docker-image", image, "--name", CLUSTER], self.folder)

    def deploy(self) -> str:
        """Deploy the app by two or three commands."""
        tag = str(time.time_ns())
        self.bring("backend", f"peer-backend:{tag}")
        values = {
            "backend.image.repository": "peer-backend",
            "backend.image.tag": tag,
            "frontend.image.repository": "peer-frontend",
            "frontend.image.tag": "1",
            "secrets.databaseUrl": os.environ["DATABASE_URL"],
        }
        sets = [word for path, value in values.items() for word in ("--set-string", f"{path}={value}")]
        sets += ["--set", f"frontend.service.nodePort={NODE_PORTS['peer']}"]
        sets += ["--set-file", f"secrets.jwtSecret={self.key}"]
        place = ["--kube-context", self.context, "--namespace", self.namespace, "--create-namespace"]
        return run([self.helm, "upgrade", "--install", "--wait", "loop", "helm/todo-app", *place, *sets], self.folder)

    def delete(self) -> None:
        """Delete the app and its namespace."""
        place = ["--kube-context", self.context, "--namespace", self.namespace]
        forget([self.helm, "uninstall", "loop", *place])
        forget(["kubectl", "--context", self.context, "delete", "namespace", self.namespace, "--wait=false"])


class Archive:
    """An image as an archive of `docker save`."""

    def __init__(self, reference: str) -> None:
        """Read the sizes of its layers."""
        saved = subprocess.run(["docker", "save", reference], capture_output=True, check=True).stdout
        self.size = len(saved)
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
            manifest = tar.extractfile("manifest.json")
            layers = json.load(manifest)[0]["Layers"] if manifest else []
            self.layers = {layer: tar.getmember(layer).size for layer in layers}


def loop(target: str, ours: Ours, peer: Peer, rounds: int) -> None:
    """Time both sides; print the bytes that ours sent in the last round."""
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    images: list[str] = []
    for number in range(WARM_UP + rounds):
        sides: list[Side] = [ours, peer] if number % 2 else [peer, ours]
        for side in sides:
            elapsed = side.timed()
            if number >= WARM_UP:
                times[side.name].append(elapsed)
        images.append(image_of(ours))
    hand = "docker build, kind load, helm" if target == "kind" else "docker build, helm"
    ratio = statistics.median(times["ours"]) / statistics.median(times["peer"])
    title = f"changed line to pod on {target} | {hand}"
    print(f"{title:60} {figure(times['ours'])}   {figure(times['peer'])}   {ratio:6.2f}", flush=True)
    if target == "kind":
        sent = sum(event["bytes_sent"] for event in events(ours.printed, "image-delivered"))
        old, new = (Archive(image) for image in images[-2:])
        changed = sum(size for layer, size in new.layers.items() if layer not in old.layers)
        print(f"bytes sent to kind's node: {sent}; changed layers: {changed}; image tar: {new.size}", flush=True)


def image_of(ours: Ours) -> str:
    """Return the backend's image of the last deploy."""
    steps = events(ours.printed, "step-finished")
    detail = next(step["detail"] for step in steps if step["step"] == "build:bench-backend")
    return str(detail).split(" ", maxsplit=1)[0]


def detect(program: str, folder: Path, key: Path, rounds: int) -> None:
    """Time the detection of each target, as part of a dry run with `--target auto`."""
    secrets = ["--set", "secrets.databaseUrl=postgresql://a:b@c.example/d", "--secret", f"secrets.jwtSecret=file:{key}"]
    auto = [program, "deploy", "--dry-run", "--target", "auto", "--output", "json", *secrets]
    whole: list[float] = []
    each: dict[str, list[float]] = {}
    for number in range(WARM_UP + rounds):
        began = time.perf_counter()
        printed = run(auto, folder)
        elapsed = time.perf_counter() - began
        calls = [event for event in events(printed, "plugin-call") if event["export"] == "target.detect"]
        if number >= WARM_UP:
            whole.append(elapsed)
            for call in calls:
                each.setdefault(call["plugin"], []).append(call["elapsed_ms"] / 1000)
    print(f"{'--target auto, the whole command':60} {figure(whole)}", flush=True)
    for target, times in sorted(each.items()):
        print(f"{f'  of it: detect {target}, beside the others':60} {figure(times)}", flush=True)


def forget_images() -> None:
    """Remove the images of both sides from the engine."""
    for name in ("bench-backend", "bench-frontend", "peer-backend", "peer-frontend"):
        listed = run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name]).split()
        if listed:
            run(["docker", "image", "rm", "--force", *listed])


def main() -> None:
    """Print the figures of every target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--todohost", required=True)
    parser.add_argument("--helm", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--target", action="append", choices=["docker-desktop", "kind"], required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    key = arguments.state / "jwt-secret"
    columns = f"{'min':>8} {'median':>8}"
    print(f"{'milliseconds':60} {columns}   {columns}   {'ratio':>6}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            for target in arguments.target:
                ours = Ours(folder, target, arguments.todohost, key)
                peer = Peer(folder, target, arguments.helm, key)
                try:
                    loop(target, ours, peer, arguments.rounds)
                finally:
                    ours.delete()
                    peer.delete()
            detect(arguments.todohost, ROOT, key, arguments.rounds)
        finally:
            forget_images()


if __name__ == "__main__":
    main()
