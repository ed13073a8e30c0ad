//! The nodes of a cluster, which the engine lists by kind's labels.

use std::time::Duration;
use todohost_docker_engine::{self as engine, node};
use todohost_plugin::process::{Command, Output};
use todohost_plugin::{Error, ErrorKind, Result};

/// A container that is a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name of the container.
    pub name: String,
    /// State of the container as reported by the engine, e.g. `running`.
    pub state: String,
    /// Whether the node runs the API server.
    pub control_plane: bool,
    /// Version of Kubernetes, if the tag of the node image contains it.
    pub version: Option<String>,
    /// Whether the container started less than a minute ago.
    pub is_young: bool,
}

impl Node {
    /// Reports whether the container runs.
    pub fn runs(&self) -> bool {
        self.state == "running"
    }
}

const ROLE: &str =
    "{{.Names}}\t{{.State}}\t{{.Label \"io.x-k8s.kind.role\"}}\t{{.Image}}\t{{.Status}}";
const CLUSTER: &str = "{{.Label \"io.x-k8s.kind.cluster\"}}";

/// Lists the control planes and workers of a cluster, sorted by name; empty if the cluster does not exist.
///
/// # Errors
/// Fails with `docker.not-running`, and if the engine cannot list containers.
pub fn of(cluster: &str) -> Result<Vec<Node>> {
    let output = list(&format!("label=io.x-k8s.kind.cluster={cluster}"), ROLE)?;
    Ok(parse(&output.stdout_text()))
}

/// Lists the other clusters by kind on this engine, except the cluster of Docker Desktop, which has its own target.
///
/// # Errors
/// Fails like [`of`].
pub fn other_clusters(cluster: &str) -> Result<Vec<String>> {
    let text = list("label=io.x-k8s.kind.cluster", CLUSTER)?.stdout_text();
    let names = text.lines().map(str::trim);
    let mut names: Vec<String> = names
        .filter(|name| !name.is_empty() && *name != cluster && *name != "desktop")
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn list(filter: &str, format: &str) -> Result<Output> {
    let output = Command::new("docker")
        .args(["ps", "--all", "--no-trunc", "--filter", filter, "--format", format])
        .timeout(Duration::from_secs(10))
        .run();
    match output {
        Ok(output) if output.success() => Ok(output),
        Ok(output) => {
            engine::require()?;
            let message = "cannot list the nodes of the cluster with docker";
            Err(output.to_error("kind.nodes-unknown", message))
        }
        Err(error) => {
            engine::require()?;
            Err(error)
        }
    }
}

fn parse(text: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = text
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (name, state, role) = (columns.next()?, columns.next()?, columns.next()?);
            let (image, status) = (columns.next().unwrap_or(""), columns.next().unwrap_or(""));
            // The load balancer in front of several API servers is not a node.
            (role == "control-plane" || role == "worker").then(|| Node {
                name: name.to_owned(),
                state: state.to_owned(),
                control_plane: role == "control-plane",
                version: version_of(image),
                is_young: status.starts_with("Up ") && status.contains("second"),
            })
        })
        .collect();
    nodes.sort_by(|left, right| left.name.cmp(&right.name));
    nodes
}

/// The version in the tag of a node image, e.g. of `kindest/node:v1.35.0@sha256:...`.
fn version_of(image: &str) -> Option<String> {
    let name = image.split('@').next()?;
    let tag = name.rsplit_once(':')?.1;
    let is_version = tag.strip_prefix("v1.").is_some_and(|rest| rest.starts_with(char::is_numeric));
    is_version.then(|| tag.to_owned())
}

/// Names of the containers.
pub fn names(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// The first node with an API server.
///
/// # Errors
/// Fails with `kind.no-control-plane` if there is none.
pub fn control_plane(nodes: &[Node]) -> Result<&Node> {
    nodes.iter().find(|node| node.control_plane).ok_or_else(|| {
        Error::internal("kind.no-control-plane", "the cluster has no control-plane node")
    })
}

/// State of Kubernetes in the nodes, which the engine does not report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// No problem is known.
    Healthy,
    /// The API server has this problem.
    Unhealthy(String),
    /// The creation of the cluster was interrupted.
    Unfinished,
}

/// Reads the state of Kubernetes in running nodes. kind writes the context last, so a cluster without a context may be
/// incomplete.
///
/// # Errors
/// Fails if `docker` is not granted.
pub fn inside(nodes: &[Node], has_context: bool) -> Result<Inside> {
    let Ok(first) = control_plane(nodes) else { return Ok(Inside::Unfinished) };
    if !has_context && made(first)? == Made::Partial {
        return Ok(Inside::Unfinished);
    }
    Ok(match node::health(&first.name, "kubectl", ADMIN)? {
        node::Health::Healthy | node::Health::Unknown => Inside::Healthy,
        node::Health::Unhealthy(problem) => Inside::Unhealthy(problem),
    })
}

/// Kubeconfig that kubeadm writes on a complete control plane.
pub const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// Completeness of a cluster without a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The creation completed, or the cluster contains objects of a user.
    Complete,
    /// The creation did not complete, and the cluster contains no objects of a user.
    Partial,
    /// The cluster does not answer, or not yet.
    Unknown,
}

/// Determines the completeness in the node with the API server. If kind was killed, kubeadm continues in the node, so a
/// cluster that answers can lack the later steps of kind. The last of these creates a storage class.
///
/// # Errors
/// Fails if `docker` is not granted.
pub fn made(node: &Node) -> Result<Made> {
    let output = Command::new("docker")
        .args(["exec", &node.name, "kubectl", &format!("--kubeconfig={ADMIN}")])
        .args(["get", "storageclasses,namespaces", "--output=name"])
        .timeout(Duration::from_secs(10))
        .run();
    match output {
        Ok(output) => Ok(completeness(&output)),
        Err(error) if error.kind == ErrorKind::Timeout => Ok(Made::Unknown),
        Err(error) => Err(error),
    }
}

fn completeness(output: &Output) -> Made {
    if !output.success() {
        // kubeadm has not written the administrator's kubeconfig yet.
        let has_none = output.stderr_text().contains("no such file or directory");
        return if has_none { Made::Partial } else { Made::Unknown };
    }
    let names = output.stdout_text();
    let is_of_kubernetes = |name: &str| {
        matches!(name, "namespace/default" | "namespace/local-path-storage")
            || name.starts_with("namespace/kube-")
    };
    if names.lines().all(|name| is_of_kubernetes(name.trim())) {
        Made::Partial
    } else {
        Made::Complete
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn node(name: &str, state: &str) -> Node {
        Node {
            name: name.into(),
            state: state.into(),
            control_plane: name.contains("control-plane"),
            version: Some("v1.35.4".into()),
            is_young: false,
        }
    }

    #[test]
    fn load_balancer_is_not_a_node() {
        let nodes = parse(
            "a-worker\trunning\tworker\na-control-plane\texited\tcontrol-plane\na-external-load-balancer\trunning\texternal-load-balancer\n",
        );
        assert_eq!(nodes.len(), 2);
        assert!(nodes[0].control_plane && !nodes[0].runs());
    }

    #[test]
    fn version_and_age_are_read_if_present() {
        let image = "kindest/node:v1.35.0@sha256:452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f";
        let text = format!("a-control-plane\trunning\tcontrol-plane\t{image}\tUp 12 seconds\n");
        let nodes = parse(&text);
        assert_eq!((nodes[0].version.as_deref(), nodes[0].is_young), (Some("v1.35.0"), true));
        let old = parse("a-control-plane\trunning\tcontrol-plane\tlab/node:7\tUp 3 hours\n");
        assert_eq!((old[0].version.as_deref(), old[0].is_young), (None, false));
        for image in ["", "kindest/node", "registry:5000/node", "node:v1.x", "node:v2.0.0"] {
            assert_eq!(version_of(image), None, "{image}");
        }
    }

    fn made_after(code: i32, stdout: &str, stderr: &str) -> Made {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        completeness(&Output { code: Some(code), stdout, stderr, truncated: false })
    }

    #[test]
    fn cluster_with_objects_of_a_user_is_never_partial() {
        let system = "namespace/default\nnamespace/kube-system\nnamespace/local-path-storage\n";
        assert_eq!(made_after(0, system, ""), Made::Partial);
        let class = format!("storageclass.storage.k8s.io/standard\n{system}");
        assert_eq!(made_after(0, &class, ""), Made::Complete);
        assert_eq!(made_after(0, &format!("{system}namespace/shop\n"), ""), Made::Complete);
    }

    #[test]
    fn cluster_that_does_not_answer_is_not_partial() {
        let none = "error: stat /etc/kubernetes/admin.conf: no such file or directory\n";
        assert_eq!(made_after(1, "", none), Made::Partial);
        let refused = "The connection to the server lab-control-plane:6443 was refused\n";
        assert_eq!(made_after(1, "", refused), Made::Unknown);
    }
}
