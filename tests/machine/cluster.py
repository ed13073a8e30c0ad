"""A one-node Kubernetes with Docker Desktop's shape, run as plain daemons.

Node, context, cluster and user are called docker-desktop, NodePorts answer on localhost, and the kubelet runs the
images of `docker build`.
"""

import re
import signal
import socket
from pathlib import Path

from machine import engine, kubernetes, network
from machine.daemon import Daemon
from machine.place import HERE, RUN, STATE, write
from machine.process import MachineError, logged, run, say, succeeds, wait_until

NAME = "docker-desktop"
CERTIFICATES = STATE / "pki"
CONFIGURATIONS = STATE / "kubeconfigs"
KUBECONFIG = STATE / "kubeconfig"
SERVICE_RANGE = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
DNS_IMAGE = "todohost.test/coredns:1"
API = "127.0.0.1"
COMPLETE = RUN / "cluster-complete"

ETCD = Daemon("etcd")
API_SERVER = Daemon("kube-apiserver")
CONTROLLERS = Daemon("kube-controller-manager")
SCHEDULER = Daemon("kube-scheduler")
KUBELET = Daemon("kubelet")
PROXY = Daemon("kube-proxy")
DAEMONS = (KUBELET, PROXY, SCHEDULER, CONTROLLERS, API_SERVER, ETCD)


def address() -> str:
    """Returns the source address of this machine's traffic, which is the node's address and reachable from pods."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A datagram socket only asks the routing table; nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise MachineError("this machine has no network address that pods could reach") from error
        return str(probe.getsockname()[0])


def kubectl(*arguments: str, kubeconfig: Path | None = None, text: str | None = None) -> str:
    """Runs kubectl as the cluster's administrator."""
    return run(kubernetes.programs() / "kubectl", *arguments, env=_credentials(kubeconfig), timeout=60, text=text)


def _answers(*arguments: str, kubeconfig: Path | None = None) -> bool:
    return succeeds(kubernetes.programs() / "kubectl", *arguments, env=_credentials(kubeconfig), timeout=10)


def _credentials(kubeconfig: Path | None) -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig or CONFIGURATIONS / "admin.conf")}


def _processes() -> str:
    """Returns the process ids of the daemons as a text that changes when one of them restarts."""
    return "\n".join(f"{daemon.name} {daemon.pid()}" for daemon in DAEMONS)


def is_up() -> bool:
    """Returns whether the daemons of a completed `up` run and the API server answers."""
    complete = COMPLETE.exists() and COMPLETE.read_text() == _processes()
    return complete and all(daemon.pid() for daemon in DAEMONS) and _answers("get", "--raw", "/readyz")


def restart_api_server() -> None:
    """Kills the API server like a crash, and starts it again with the daemons that ended with it."""
    if not API_SERVER.stop(first=signal.SIGKILL):
        raise MachineError("the API server does not run")
    # Not published again: kind or minikube may be writing to the kubeconfig.
    _start()


def up() -> None:
    """Starts the stopped daemons and waits until the node accepts pods."""
    if not is_up():
        _start()
    _publish()


def _start() -> None:
    folder = kubernetes.programs()
    ip = address()
    environment = {"PATH": f"{folder}:{engine.path()}"}
    _certificates(folder, ip)
    _start_control_plane(folder, ip)
    _start_node(folder, ip, environment)
    _start_dns()
    wait_until(lambda: _answers("get", "node", NAME), "the node to register", 60, KUBELET.must_live)
    kubectl("wait", "--for=condition=Ready", f"node/{NAME}", "--timeout=55s")
    say("node ready")
    kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=55s")
    wait_until(lambda: _answers("get", "serviceaccount", "default"), "the default service account", 60)
    write(COMPLETE, _processes())


def _publish() -> None:
    """Adds the context to the users' kubeconfig, beside other contexts (kind adds its own)."""
    separate = CONFIGURATIONS / "admin.conf"
    if KUBECONFIG.exists():
        merged = run(
            *(kubernetes.programs() / "kubectl", "config", "view", "--raw", "--flatten"),
            env={"KUBECONFIG": f"{separate}:{KUBECONFIG}"},
        )
    else:
        merged = separate.read_text()
    if not KUBECONFIG.exists() or KUBECONFIG.read_text() != merged:
        write(KUBECONFIG, merged, 0o600)


def _certificates(folder: Path, ip: str) -> None:
    configuration = CONFIGURATIONS / "kubeadm.yaml"
    wanted = f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {ip}, bindPort: 6443}}
nodeRegistration: {{name: {NAME}, criSocket: "unix://{engine.CONTAINERD_SOCKET}"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {kubernetes.version()}
certificatesDir: {CERTIFICATES}
controlPlaneEndpoint: {API}:6443
clusterName: {NAME}
apiServer: {{certSANs: ["127.0.0.1", "localhost", "kubernetes.docker.internal", "{ip}"]}}
networking: {{serviceSubnet: {SERVICE_RANGE}, podSubnet: {network.POD_RANGE}, dnsDomain: cluster.local}}
"""
    proxy = CONFIGURATIONS / "kube-proxy.conf"
    if proxy.exists() and configuration.exists() and configuration.read_text() == wanted:
        return
    say("making certificates")
    for stale in (*CERTIFICATES.rglob("*"), *CONFIGURATIONS.glob("*")):
        if stale.is_file():
            stale.unlink()
    write(configuration, wanted)
    kubeadm = folder / "kubeadm"
    logged("kubeadm-certs", kubeadm, "init", "phase", "certs", "all", "--config", configuration)
    logged(
        "kubeadm-kubeconfig",
        *(kubeadm, "init", "phase", "kubeconfig", "all", "--config", configuration),
        *("--kubeconfig-dir", CONFIGURATIONS),
    )
    admin = CONFIGURATIONS / "admin.conf"
    renamed = admin.read_text().replace(f"kubernetes-admin@{NAME}", NAME)
    write(admin, re.sub(r"\b(name|user): kubernetes-admin\b", rf"\1: {NAME}", renamed), 0o600)
    user = run(kubeadm, "kubeconfig", "user", "--config", configuration, "--client-name", "system:kube-proxy")
    write(proxy, user, 0o600)


def _start_control_plane(folder: Path, ip: str) -> None:
    pki = CERTIFICATES
    say("starting the control plane")
    ETCD.start(
        folder / "etcd",
        *("--name", "node", "--data-dir", STATE / "etcd"),
        *("--listen-client-urls", "https://127.0.0.1:2379", "--advertise-client-urls", "https://127.0.0.1:2379"),
        *("--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380"),
        *("--initial-cluster", "node=http://127.0.0.1:2380", "--client-cert-auth"),
        *("--trusted-ca-file", pki / "etcd/ca.crt", "--cert-file", pki / "etcd/server.crt"),
        *("--key-file", pki / "etcd/server.key", "--unsafe-no-fsync", "--log-level", "warn"),
    )
    API_SERVER.start(
        folder / "kube-apiserver",
        *("--etcd-servers", "https://127.0.0.1:2379", "--etcd-cafile", pki / "etcd/ca.crt"),
        *("--etcd-certfile", pki / "apiserver-etcd-client.crt", "--etcd-keyfile", pki / "apiserver-etcd-client.key"),
        *("--advertise-address", ip, "--secure-port", "6443", "--allow-privileged=true"),
        *("--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction"),
        *("--enable-bootstrap-token-auth", "--client-ca-file", pki / "ca.crt"),
        *("--tls-cert-file", pki / "apiserver.crt", "--tls-private-key-file", pki / "apiserver.key"),
        *("--kubelet-client-certificate", pki / "apiserver-kubelet-client.crt"),
        *("--kubelet-client-key", pki / "apiserver-kubelet-client.key"),
        *("--kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"),
        *("--proxy-client-cert-file", pki / "front-proxy-client.crt"),
        *("--proxy-client-key-file", pki / "front-proxy-client.key"),
        *("--requestheader-client-ca-file", pki / "front-proxy-ca.crt"),
        *("--requestheader-allowed-names", "front-proxy-client"),
        *("--requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        *("--requestheader-group-headers", "X-Remote-Group", "--requestheader-username-headers", "X-Remote-User"),
        *("--service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        *("--service-account-key-file", pki / "sa.pub", "--service-account-signing-key-file", pki / "sa.key"),
        *("--service-cluster-ip-range", SERVICE_RANGE, "--service-node-port-range", "30000-32767"),
    )
    super_admin = CONFIGURATIONS / "super-admin.conf"

    def ready() -> bool:
        return _answers("get", "--raw", "/readyz", kubeconfig=super_admin)

    def alive() -> None:
        ETCD.must_live()
        API_SERVER.must_live()

    wait_until(ready, "the API server to be ready", 120, alive)
    # admin.conf is in the group kubeadm:cluster-admins, which has no role binding yet.
    binding = "kubeadm:cluster-admins"
    if not _answers("get", "clusterrolebinding", binding, kubeconfig=super_admin):
        kubectl(
            *("create", "clusterrolebinding", binding, "--clusterrole=cluster-admin", f"--group={binding}"),
            kubeconfig=super_admin,
        )
    for daemon, extra in (
        (
            CONTROLLERS,
            (
                *("--client-ca-file", pki / "ca.crt", "--root-ca-file", pki / "ca.crt"),
                *("--cluster-signing-cert-file", pki / "ca.crt", "--cluster-signing-key-file", pki / "ca.key"),
                *("--service-account-private-key-file", pki / "sa.key", "--use-service-account-credentials=true"),
                *("--requestheader-client-ca-file", pki / "front-proxy-ca.crt"),
                *("--cluster-cidr", network.POD_RANGE, "--allocate-node-cidrs=false"),
            ),
        ),
        (SCHEDULER, ()),
    ):
        configuration = CONFIGURATIONS / f"{daemon.name.removeprefix('kube-')}.conf"
        daemon.start(
            folder / daemon.name,
            *("--kubeconfig", configuration, "--authentication-kubeconfig", configuration),
            *("--authorization-kubeconfig", configuration, "--bind-address", "127.0.0.1", "--leader-elect=false"),
            *extra,
        )


def _start_node(folder: Path, ip: str, environment: dict[str, str]) -> None:
    # Without this file the cluster's DNS would forward to itself if the machine's resolver is on loopback.
    nameservers = [line for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")]
    write(RUN / "resolv.conf", "\n".join(nameservers) + "\n")
    write(
        RUN / "kubelet.yaml",
        f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
containerRuntimeEndpoint: unix://{engine.CONTAINERD_SOCKET}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {CERTIFICATES}/ca.crt}}
authorization: {{mode: Webhook}}
clusterDomain: cluster.local
clusterDNS: ["{DNS_ADDRESS}"]
resolvConf: {RUN}/resolv.conf
podLogsDir: {STATE}/pod-logs
volumePluginDir: {STATE}/volume-plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {{memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}}
nodeStatusUpdateFrequency: 5s
readOnlyPort: 0
""",
    )
    write(
        RUN / "kube-proxy.yaml",
        f"""\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: {network.POD_RANGE}
hostnameOverride: {NAME}
bindAddress: 0.0.0.0
metricsBindAddress: 127.0.0.1:10249
clientConnection: {{kubeconfig: {CONFIGURATIONS}/kube-proxy.conf}}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
""",
    )
    KUBELET.start(
        folder / "kubelet",
        *("--config", RUN / "kubelet.yaml", "--kubeconfig", CONFIGURATIONS / "kubelet.conf"),
        *("--root-dir", STATE / "kubelet", "--cert-dir", STATE / "kubelet-pki"),
        *("--hostname-override", NAME, "--node-ip", ip, "--v", "1"),
        env=environment,
    )
    PROXY.start(folder / "kube-proxy", "--config", RUN / "kube-proxy.yaml", env=environment)


def _start_dns() -> None:
    if not engine.image_exists(DNS_IMAGE):
        folder = RUN / "coredns"
        write(folder / "Dockerfile", 'FROM scratch\nCOPY coredns /coredns\nENTRYPOINT ["/coredns"]\n')
        program = folder / "coredns"
        program.unlink(missing_ok=True)
        try:
            program.hardlink_to(kubernetes.binary())
        except OSError:
            program.write_bytes(kubernetes.binary().read_bytes())
        engine.docker("build", "-q", "-t", DNS_IMAGE, folder)
    manifest = (HERE / "coredns.yaml").read_text().replace("$(IMAGE)", DNS_IMAGE).replace("$(ADDRESS)", DNS_ADDRESS)
    kubectl("apply", "--server-side", "-f", "-", text=manifest)


def down() -> None:
    """Stops the daemons; their data is kept for the next start."""
    for daemon in DAEMONS:
        # A clean shutdown of the API server would wait for its watchers, which are stopped as well.
        if daemon.stop(seconds=3):
            say(f"stopped {daemon.name}")
