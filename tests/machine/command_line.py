"""The verbs: up, down, env, status, bare, restart."""

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import base_images, cluster, engine, kind, minikube, packages, postgres
from machine.daemon import Daemon
from machine.place import RUN, STATE, remove
from machine.process import MachineError, say

TARGETS = ("docker-desktop", "kind", "minikube")
# Arguments of `docker ps` that list the nodes of each cluster.
NODES = (kind.MADE, minikube.MADE)


def main(arguments: list[str]) -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="machine", description="An engine, clusters and a database for a machine that has none."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up", help="start the engine, the database and a cluster, and create missing parts")
    verb.add_argument("--target", choices=TARGETS, default=TARGETS[0])
    verb.add_argument("--engine-only", action="store_true", help="only the engine and the base images")
    verb = verbs.add_parser("down", help="stop everything that up started, including leftovers of a killed run")
    verb.add_argument("--wipe", action="store_true", help="delete all data as well, but not the cache")
    verb = verbs.add_parser("env", help="print exports for docker, kubectl, kind and minikube")
    verb.add_argument(
        "--target",
        choices=TARGETS,
        action="append",
        help="accepted and ignored, since all targets share one environment",
    )
    verb = verbs.add_parser("status", help="list running parts; exit code 1 if none runs")
    verb.add_argument("--json", action="store_true")
    verbs.add_parser("bare", help="exit code 0 if this machine has neither engine nor cluster")
    verb = verbs.add_parser("restart", help="kill a part of the docker-desktop cluster and start it again")
    verb.add_argument("part", choices=["kube-apiserver"])
    given = parser.parse_args(arguments)
    try:
        match given.verb:
            case "up":
                with locked():
                    up(given.target, given.engine_only)
            case "down":
                with locked():
                    down(given.wipe)
            case "restart":
                # It touches this cluster alone: it need not wait until another target is up.
                with locked("restart"):
                    cluster.restart_api_server()
            case "env":
                print(exports())
            case "status":
                return status(given.json)
            case "bare":
                reason = not_bare()
                if reason:
                    say(reason)
                return 1 if reason else 0
    except MachineError as error:
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; run the command again to continue")
        return 130
    return 0


@contextmanager
def locked(name: str = "lock") -> Iterator[None]:
    """Holds the lock of this name, which prevents parallel runs."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(target: str, engine_only: bool) -> None:
    """Starts everything that a target needs."""
    if os.geteuid() != 0:
        raise MachineError("only root can start an engine and a cluster; install Docker Desktop instead")
    # The folder has the pods' addresses: readable by every user, but writable only by root.
    STATE.mkdir(parents=True, exist_ok=True)
    packages.install(packages.ENGINE if engine_only else packages.for_machine())
    engine.up()
    base_images.up()
    if engine_only:
        return
    if not os.environ.get("DATABASE_URL"):
        postgres.up(cluster.address())
    match target:
        case "docker-desktop":
            cluster.up()
        case "kind":
            kind.up()
        case "minikube":
            minikube.up()
    say(f"{target}: ready")


def down(wipe: bool) -> None:
    """Stops everything in an order that allows a clean end."""
    minikube.down()
    kind.down()
    cluster.down()
    engine.down()
    postgres.down()
    if wipe:
        remove_state()


def remove_state() -> None:
    """Deletes all data except the held lock."""
    engine.unmount_below(STATE)
    for entry in STATE.iterdir():
        if entry.name != "lock":
            remove(entry)


def exports() -> str:
    """Returns shell lines for `eval`."""
    known = engine.environment()
    own = f"{STATE}/kubernetes:{kind.folder()}:{minikube.folder()}:"
    path = own + known.pop("PATH").removesuffix(":" + os.environ.get("PATH", ""))
    lines = {**known, "KUBECONFIG": str(cluster.KUBECONFIG), **minikube.environment()}
    if not os.environ.get("DATABASE_URL") and postgres.PASSWORD.exists():
        lines["DATABASE_URL"] = postgres.url(cluster.address())
    # The library that gives a program another wall clock.
    for clock in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        lines["TODOHOST_TEST_CLOCK"] = str(clock)
    text = [f"export {name}={shlex.quote(value)}" for name, value in lines.items()]
    already = path in os.environ.get("PATH", "")
    return "\n".join(text if already else [*text, f'export PATH={shlex.quote(path)}:"$PATH"'])


def status(as_json: bool) -> int:
    """Prints the running daemons and nodes."""
    names = sorted(path.stem for path in (RUN / "daemons").glob("*.json"))
    running = {name: pid for name in names if (pid := Daemon(name).pid())}
    if "dockerd" in running:
        running |= {name: pid for made in NODES for name, pid in engine.containers(made).items()}
    if as_json:
        print(json.dumps(running))
    else:
        for name, pid in running.items():
            print(f"{name:26}{pid}")
        if not running:
            print("nothing runs")
    return 0 if running else 1


def not_bare() -> str | None:
    """Returns the engine or cluster that this machine already has, or `None`."""
    own = os.environ.get("DOCKER_HOST") == f"unix://{engine.DOCKER_SOCKET}"
    if not own and shutil.which("docker"):
        try:
            done = subprocess.run(["docker", "version"], capture_output=True, timeout=10, check=False)
            if done.returncode == 0:
                return "a Docker engine answers here"
        except subprocess.TimeoutExpired:
            return "docker is here but does not answer"
    files = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    for file in (Path(name) for name in files.split(":") if name):
        if file.is_file() and file != cluster.KUBECONFIG and names_clusters(file.read_text()):
            return f"{file} names clusters"
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        return "not Debian as root"
    return None


def names_clusters(kubeconfig: str) -> bool:
    """Returns whether a kubeconfig has a context; tools that remove the last one leave an empty list or `null`."""
    return re.search(r"^contexts:[ \t]*\n\s*- ", kubeconfig, re.M) is not None
