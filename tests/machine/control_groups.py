"""Control group hierarchies of version 1: all that the kernel has are mounted.

The init of a node mounts what it finds in the kernel. Where that is more than is mounted here, every process is from
then on in a group that containerd finds no mount for, and it reports no kill for memory any more.
"""

from pathlib import Path

from machine.process import run

ROOT = Path("/sys/fs/cgroup")

# Controllers that an init puts into one hierarchy.
JOINED = ("net_cls", "net_prio")


def up() -> None:
    """Mounts what is not; nothing where the machine has version 2 only."""
    if not (ROOT / "memory").is_dir():
        return
    for controllers in unmounted(Path("/proc/cgroups").read_text(), Path("/proc/self/mountinfo").read_text()):
        folder = ROOT / controllers
        folder.mkdir(exist_ok=True)
        run("mount", "-t", "cgroup", "-o", controllers, "cgroup", folder)


def unmounted(known: str, mounts: str) -> list[str]:
    """Hierarchies that are not mounted, each as its controllers; from the texts of the kernel."""
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
