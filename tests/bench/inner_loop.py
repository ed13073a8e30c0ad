"""From a changed line of the backend to its new pod, on each target; what that sends to a node; detecting targets.

Ours and the peer's take turns, each with a copy of the app, a namespace and images of its own, so that neither finds
in a cache what the other left. The peer is what one types by hand: `docker build`, `kind load docker-image`,
`helm upgrade --wait`. Both end when the new pod is ready.
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

# Where each side's app answers on the node; the app itself has 30000.
NODE_PORTS = {"ours": 30977, "peer": 30978}
SOURCE = Path("backend/src/todo/__main__.py")
CLUSTER = "todohost"


def run(command: list[str], folder: Path = ROOT) -> str:
    """What a command prints; one that fails ends the run."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:4])} ... failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def forget(command: list[str], folder: Path = ROOT) -> None:
    """Takes something away; where it never came to be, the cause of that is what is told."""
    subprocess.run(command, cwd=folder, capture_output=True, check=False)


def events(text: str, kind: str) -> list[dict[str, Any]]:
    """The events of one kind that a command told."""
    lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return [event for event in lines if event.get("event") == kind]


class Side:
    """One side's copy of the app, on one target."""

    def __init__(self, folder: Path, name: str, target: str) -> None:
        """Copies the app."""
        self.folder, self.name, self.target = folder / f"{name}-{target}", name, target
        self.namespace = f"todo-loop-{name}"
        self.context = f"kind-{CLUSTER}" if target == "kind" else target
        for part in ("backend", "frontend", "helm"):
            ignored = shutil.ignore_patterns("node_modules", ".next", ".venv", "__pycache__", ".*_cache", "coverage")
            shutil.copytree(ROOT / part, self.folder / part, ignore=ignored)

    def change(self) -> None:
        """Another line of the backend's source, never seen before."""
        with (self.folder / SOURCE).open("a", encoding="utf-8") as file:
            file.write(f"# {time.time_ns()}\n")

    def deploy(self) -> str:
        """Brings it there; the text that was printed."""
        raise NotImplementedError

    def timed(self) -> float:
        """Seconds from the change to the pod."""
        self.change()
        began = time.perf_counter()
        self.printed = self.deploy()
        return time.perf_counter() - began


class Ours(Side):
    """One command."""

    def __init__(self, folder: Path, target: str, program: str, key: Path) -> None:
        """Names images, namespace and port of its own."""
        super().__init__(folder, "ours", target)
        text = (ROOT / "todohost.toml").read_text(encoding="utf-8")
        # Images of its own, beside those of the app that may run here.
        text = text.replace("todo-backend", "bench-backend").replace("todo-frontend", "bench-frontend")
        named = text.replace('namespace = "todo-app"', f'namespace = "{self.namespace}"\nvalues = ["bench.yaml"]')
        (self.folder / "todohost.toml").write_text(named, encoding="utf-8")
        values = f"frontend:\n  service:\n    nodePort: {NODE_PORTS['ours']}\n"
        (self.folder / "bench.yaml").write_text(values, encoding="utf-8")
        self.program, self.key = program, key

    def deploy(self) -> str:
        """One command; its events."""
        secrets = ["--secret", "secrets.databaseUrl=env:DATABASE_URL"]
        secrets += ["--secret", f"secrets.jwtSecret=file:{self.key}"]
        command = [self.program, "deploy", "--target", self.target, "--yes", "--output", "json", *secrets]
        return run(command, self.folder)

    def delete(self) -> None:
        """Takes away what there is of it."""
        forget([self.program, "delete", "--target", self.target, "--yes", "--with-namespace"], self.folder)


class Peer(Side):
    """What one types by hand."""

    def __init__(self, folder: Path, target: str, helm: str, key: Path) -> None:
        """Brings the frontend, which does not change."""
        super().__init__(folder, "peer", target)
        self.helm, self.key = helm, key
        self.bring("frontend", "peer-frontend:1")

    def bring(self, part: str, image: str) -> None:
        """An image, built and where the nodes find it."""
        run(["docker", "build", "--quiet", "--tag", image, part], self.folder)
        if self.target == "kind":
            run(["kind", "load", "docker-image", image, "--name", CLUSTER], self.folder)

    def deploy(self) -> str:
        """Two or three commands."""
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
        """Takes away what there is of it."""
        place = ["--kube-context", self.context, "--namespace", self.namespace]
        forget([self.helm, "uninstall", "loop", *place])
        forget(["kubectl", "--context", self.context, "delete", "namespace", self.namespace, "--wait=false"])


class Archive:
    """An image as `docker save` gives it out."""

    def __init__(self, reference: str) -> None:
        """Reads the sizes of its layers."""
        saved = subprocess.run(["docker", "save", reference], capture_output=True, check=True).stdout
        self.size = len(saved)
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
            manifest = tar.extractfile("manifest.json")
            layers = json.load(manifest)[0]["Layers"] if manifest else []
            self.layers = {layer: tar.getmember(layer).size for layer in layers}


def loop(target: str, ours: Ours, peer: Peer, rounds: int) -> None:
    """Times both sides, and prints what ours sent in the last round."""
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
    """The backend's image of the last deploy."""
    steps = events(ours.printed, "step-finished")
    detail = next(step["detail"] for step in steps if step["step"] == "build:bench-backend")
    return str(detail).split(" ", maxsplit=1)[0]


def detect(program: str, folder: Path, key: Path, rounds: int) -> None:
    """How long each target takes to say how it is, of a whole `--target auto` that does no more."""
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
    """Takes the images of both sides away from the engine."""
    for name in ("bench-backend", "bench-frontend", "peer-backend", "peer-frontend"):
        listed = run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name]).split()
        if listed:
            run(["docker", "image", "rm", "--force", *listed])


def main() -> None:
    """Prints the figures of every target."""
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
