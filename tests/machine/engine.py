"""A Docker engine that shares its images with the kubelet: dockerd uses the kubelet's containerd and its namespace.

Docker Desktop does the same, so that a Pod with `imagePullPolicy: Never` can run an image of `docker build`.
"""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from machine import control_groups, network, packages
from machine.daemon import Daemon, started_at
from machine.place import HERE, RUN, STATE, write
from machine.process import run, say, succeeds, wait_until

CONTAINERD = Daemon("containerd")
DOCKERD = Daemon("dockerd")
CONTAINERD_SOCKET = RUN / "containerd.sock"
DOCKER_SOCKET = RUN / "docker.sock"
PAUSE_IMAGE = "todohost.test/pause:1"
BRIDGE_ADDRESS = "172.30.0.1/24"


def path() -> str:
    """Returns the search path of programs, beginning with those of this package."""
    root = packages.docker_programs()
    return ":".join([f"{root}/usr/bin", f"{root}/usr/sbin", "/usr/sbin", "/sbin", os.environ.get("PATH", "/usr/bin")])


def environment() -> dict[str, str]:
    """Returns the variables by which a docker client finds this engine and its build plugin."""
    return {
        "DOCKER_HOST": f"unix://{DOCKER_SOCKET}",
        "DOCKER_CONFIG": str(STATE / "docker-client"),
        "PATH": path(),
    }


def docker(*arguments: str | Path, timeout: float = 600, text: str | None = None) -> str:
    """Runs docker against this engine."""
    return run("docker", *arguments, env=environment(), timeout=timeout, text=text)


def image_exists(reference: str) -> bool:
    """Returns whether the engine has an image."""
    return succeeds("docker", "image", "inspect", reference, env=environment())


def containers(filters: Sequence[str]) -> dict[str, int]:
    """Returns the running containers by name, with their first process."""
    found = docker("ps", "-q", *filters).split()
    form = "{{.Name}} {{.State.Pid}}"
    lines = docker("inspect", "--format", form, *found).splitlines() if found else []
    return {name.removeprefix("/"): int(pid) for name, pid in (line.split() for line in lines)}


def up() -> None:
    """Starts the stopped daemons."""
    programs = packages.docker_programs()
    write(
        STATE / "docker-client" / "config.json",
        json.dumps({"cliPluginsExtraDirs": [f"{programs}/usr/libexec/docker/cli-plugins"]}),
    )
    network.up()
    control_groups.up()
    _start_containerd()
    _start_dockerd()
    network.let_pods_through()
    if not image_exists(PAUSE_IMAGE):
        _build_pause()


def _start_containerd() -> None:
    configuration = RUN / "containerd.toml"
    write(configuration, _containerd_configuration())
    if CONTAINERD.start("containerd", "-c", configuration, env={"PATH": path()}):
        say("starting containerd")
        wait_until(
            lambda: succeeds("ctr", "-a", CONTAINERD_SOCKET, "version", env={"PATH": path()}),
            "containerd to answer",
            30,
            CONTAINERD.must_live,
        )


def _start_dockerd() -> None:
    configuration = RUN / "dockerd.json"
    # The runtime wrapper is for machines without CAP_SYS_RESOURCE: see runc-without-resource.
    settings = {
        "features": {"containerd-snapshotter": True},
        "runtimes": {"unprivileged-resource": {"path": str(HERE / "runc-without-resource")}},
        "default-runtime": "unprivileged-resource",
        "bip": BRIDGE_ADDRESS,
        "data-root": str(STATE / "docker"),
        "exec-root": str(RUN / "docker"),
        "pidfile": str(RUN / "dockerd.pid"),
        "containerd": str(CONTAINERD_SOCKET),
        "containerd-namespace": "k8s.io",
        "containerd-plugins-namespace": "plugins.k8s.io",
        "hosts": [f"unix://{DOCKER_SOCKET}"],
    }
    write(configuration, json.dumps(settings, indent=2))
    if DOCKERD.pid() is None:
        # A killed engine leaves its pid file, and a recycled process id would prevent its start.
        (RUN / "dockerd.pid").unlink(missing_ok=True)
    if DOCKERD.start("dockerd", "--config-file", configuration, env={"PATH": path()}):
        say("starting dockerd")
        wait_until(lambda: succeeds("docker", "version", env=environment()), "dockerd to answer", 60, DOCKERD.must_live)


def _build_pause() -> None:
    say("making the pause image")
    folder = RUN / "pause"
    write(
        folder / "pause.c",
        "#include <signal.h>\n#include <unistd.h>\n#include <sys/wait.h>\n"
        "static void end(int s) { _exit(0); }\nstatic void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }\n"
        "int main(void) { signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap); for (;;) pause(); }\n",
    )
    write(folder / "Dockerfile", 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
    run("gcc", "-Os", "-static", "-o", folder / "pause", folder / "pause.c")
    docker("build", "-q", "-t", PAUSE_IMAGE, folder)


def _containerd_configuration() -> str:
    return f"""\
version = 2
root = "{STATE}/containerd"
state = "{RUN}/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{STATE}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  # A pod's score may not be lowered without CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{RUN}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def down() -> None:
    """Stops containers, daemons and mounts, and reverts the network settings."""
    if not (RUN / "containerd.toml").exists():
        # The engine was never started: docker0 and the rest belong to another one.
        return
    if CONTAINERD.pid() is not None:
        _remove_containers()
    for daemon in (DOCKERD, CONTAINERD):
        if daemon.stop(seconds=20):
            say(f"stopped {daemon.name}")
    _kill_containers()
    unmount_below(RUN)
    unmount_below(STATE)
    network.down()


def _remove_containers() -> None:
    for namespace in ("k8s.io", "plugins.k8s.io"):
        ctr = ("ctr", "-a", CONTAINERD_SOCKET, "-n", namespace)
        environ = {"PATH": path()}
        if not succeeds(*ctr, "version", env=environ):
            return
        for task in run(*ctr, "tasks", "ls", "-q", env=environ).split():
            succeeds(*ctr, "tasks", "rm", "-f", task, env=environ)
        for container in run(*ctr, "containers", "ls", "-q", env=environ).split():
            succeeds(*ctr, "containers", "rm", container, env=environ)


def _kill_containers() -> None:
    """Kills processes that outlived a killed containerd: its shims, and processes on its snapshots."""
    left = _left_processes()
    if left:
        say(f"killing {len(left)} processes of containers that a killed run left")
    while left:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(started_at(pid) for pid in left), "containers to end", 30)  # noqa: B023
        left = _left_processes()


def _left_processes() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            mounts = (entry / "mountinfo").read_text()
        except (FileNotFoundError, ProcessLookupError, OSError):
            continue
        shim = words[0].endswith(b"containerd-shim-runc-v2") and str(CONTAINERD_SOCKET).encode() in words
        if shim or is_on_snapshot(mounts, STATE):
            found.append(int(entry.name))
    return found


def is_on_snapshot(mounts: str, state: Path) -> bool:
    """Returns whether the root in a /proc/PID/mountinfo is a container's snapshot below `state`."""
    for line in mounts.splitlines():
        fields = line.split()
        if fields[4] == "/" and f",upperdir={state}/containerd/" in fields[-1]:
            return True
    return False


def unmount_below(folder: Path) -> None:
    """Unmounts everything in a folder, the deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        succeeds("umount", "-l", mount)
