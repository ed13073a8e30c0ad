"""Network settings of the machine for the engine and the pods, and their removal.

Owns the pods' CNI configuration, forwarding, and the removal of bridges, network namespaces and packet filter rules,
including leftovers of a killed run. Docker's and Kubernetes' own rules are made by their daemons.
"""

import json
import re
from pathlib import Path

from machine.place import RUN, remove, write
from machine.process import run, succeeds

POD_RANGE = "10.244.0.0/16"
POD_BRIDGE = "cni0"
NAMESPACES = Path("/run/netns")
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

_BRIDGE = rf"docker0|{POD_BRIDGE}|br-[0-9a-f]{{12}}"
_OURS = re.compile(
    r"(?:^:|^-A |-j )(?:DOCKER|CNI-|KUBE-)"  # chains of dockerd, of the CNI plugins and of kube-proxy
    rf"|-[io] (?:{_BRIDGE})(?: |$)"
    r"|-[sd] 10\.244\.\d+\.\d+(?:/\d+)?(?: |$)"
)


def up() -> None:
    """Enables forwarding and writes the configuration of the pods' network.

    Forwarding has to be enabled before dockerd starts: if dockerd enables it, it drops all other forwarded packets.
    """
    for setting in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"):
        file = Path("/proc/sys") / setting.replace(".", "/")
        if file.exists() and file.read_text().strip() != "1":
            file.write_text("1\n")
    addresses = {
        "type": "host-local",
        "dataDir": str(RUN / "cni-addresses"),
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True}
    plugins = [{**bridge, "ipam": addresses}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    conflist = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
    write(RUN / "cni" / "10-pods.conflist", json.dumps(conflist, indent=2))


def let_pods_through() -> None:
    """Accepts the pods' packets even if the policy of FORWARD is DROP."""
    for direction in ("-s", "-d"):
        rule = ("FORWARD", direction, POD_RANGE, "-j", "ACCEPT")
        if not succeeds("iptables", "-C", *rule, env=PATH):
            run("iptables", "-I", *rule, env=PATH)


def without_ours(rules: str) -> str:
    """Returns the output of iptables-save without the chains and rules of engine and cluster."""
    return "".join(line for line in rules.splitlines(keepends=True) if not _OURS.search(line))


def down() -> None:
    """Removes rules, bridges and network namespaces of pods; requires that all containers have ended."""
    for family in ("iptables", "ip6tables"):
        if not Path(f"/usr/sbin/{family}-save").exists():
            continue
        rules = run(f"{family}-save", env=PATH)
        kept = without_ours(rules)
        if kept != rules:
            run(f"{family}-restore", text=kept, env=PATH)
    if NAMESPACES.is_dir():
        for namespace in NAMESPACES.glob("cni-*"):
            succeeds("umount", "-l", namespace)
            namespace.unlink(missing_ok=True)
    remove(RUN / "cni-addresses")
    for interface in sorted(path.name for path in Path("/sys/class/net").iterdir()):
        # A killed engine leaves its ends of the containers' veth pairs, with names of dockerd's and CNI's length.
        if re.fullmatch(rf"{_BRIDGE}|veth[0-9a-f]{{7,8}}", interface):
            succeeds("ip", "link", "delete", interface, env=PATH)
