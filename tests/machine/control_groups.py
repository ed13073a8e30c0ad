"""Control group hierarchies of version 1: mounts all that the kernel has.

The init of a node mounts every hierarchy of the kernel. If some of them are not mounted on this machine, each process
is then in a group without a mount, and containerd no longer reports OOM kills.
"""

from pathlib import Path

from machine.process import run

ROOT = Path("/sys/fs/cgroup")

# Controllers that an init mounts as one hierarchy.
JOINED = ("net_cls", "net_prio")


def up() -> None:
    """Mounts the missing hierarchies; does nothing if the machine has only version 2."""
    if not (ROOT / "memory").is_dir():
        return
    for controllers in unmounted(Path("/proc/cgroups").read_text(), Path("/proc/self/mountinfo").read_text()):
        folder = ROOT / controllers
        folder.mkdir(exist_ok=True)
        run("mount", "-t", "cgroup", "-o", controllers, "cgroup", folder)


def unmounted(known: str, mounts: str) -> list[str]:
    """Returns the controllers of each hierarchy that is not mounted, from the kernel's tables."""
    mounted: set[str] = set()
    for line in mounts.splitlines():
        kind, _, options = line.partition(" - ")[2].split(" ")[:3]
        if kind == "cgroup":
            mounted.update(options.split(","))
    hierarchies: dict[str, list[str]] = {}
    for line in known.splitlines():
        if line.startswith("#"):
            continue
        controller, hierarchy, _, enabled = line.split()
        if enabled == "0" or controller in mounted:
            continue
        alone = "joined" if controller in JOINED else controller
        hierarchies.setdefault(alone if hierarchy == "0" else hierarchy, []).append(controller)
    return [",".join(controllers) for controllers in hierarchies.values()]
