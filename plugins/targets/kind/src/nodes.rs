//! The nodes of a cluster, as the engine knows them by kind's labels.

use std::time::Duration;
use todohost_docker_engine::{self as engine, node};
use todohost_plugin::process::{Command, Output};
use todohost_plugin::{Error, ErrorKind, Result};

/// One container that is a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The container's name.
    pub name: String,
    /// How the container is, in the engine's word.
    pub state: String,
    /// Whether it has the API server.
    pub control_plane: bool,
    /// The version of Kubernetes, where its image is named after it.
    pub version: Option<String>,
    /// It has been up for seconds only.
    pub is_young: bool,
}

impl Node {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == "running"
    }
}

const ROLE: &str =
    "{{.Names}}\t{{.State}}\t{{.Label \"io.x-k8s.kind.role\"}}\t{{.Image}}\t{{.Status}}";
const CLUSTER: &str = "{{.Label \"io.x-k8s.kind.cluster\"}}";

/// The nodes that take pods or the API server, sorted by name; none for a cluster that does not exist.
///
/// # Errors
/// `docker.not-running`, or when the engine cannot be asked.
pub fn of(cluster: &str) -> Result<Vec<Node>> {
    let output = list(&format!("label=io.x-k8s.kind.cluster={cluster}"), ROLE)?;
    Ok(parse(&output.stdout_text()))
}

/// Other clusters of kind's on this engine. The one that Docker Desktop makes with kind is its own target's.
///
/// # Errors
/// As [`of`].
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
            let message = "docker cannot say which nodes the cluster has";
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
            // A balancer in front of several API servers is no node.
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

/// The version in the tag of a node's image, e.g. of `kindest/node:v1.35.0@sha256:...`.
fn version_of(image: &str) -> Option<String> {
    let name = image.split('@').next()?;
    let tag = name.rsplit_once(':')?.1;
    let is_version = tag.strip_prefix("v1.").is_some_and(|rest| rest.starts_with(char::is_numeric));
    is_version.then(|| tag.to_owned())
}

/// The containers' names.
pub fn names(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// The node whose API server is asked.
///
/// # Errors
/// `kind.no-control-plane` where there is none.
pub fn control_plane(nodes: &[Node]) -> Result<&Node> {
    nodes.iter().find(|node| node.control_plane).ok_or_else(|| {
        Error::internal("kind.no-control-plane", "the cluster has no control-plane node")
    })
}

/// How the cluster inside of the nodes is, which the engine does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// As far as is known all is well.
    Well,
    /// Its API server is not.
    Sick(String),
    /// Its creation was broken off: it never was a cluster.
    Unfinished,
}

/// Looks inside of nodes that run. A cluster without a context may be one that was never finished: kind writes the
/// context last.
///
/// # Errors
/// When `docker` may not be asked.
pub fn inside(nodes: &[Node], has_context: bool) -> Result<Inside> {
    let Ok(first) = control_plane(nodes) else { return Ok(Inside::Unfinished) };
    if !has_context && made(first)? == Made::Part {
        return Ok(Inside::Unfinished);
    }
    Ok(match node::health(&first.name, "kubectl", ADMIN)? {
        node::Health::Well | node::Health::Unknown => Inside::Well,
        node::Health::Sick(how) => Inside::Sick(how),
    })
}

/// What kubeadm writes on a control plane once it has made one.
pub const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// How much of a cluster without a context was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// All of it.
    Whole,
    /// Not all of it, and nobody has anything in it.
    Part,
    /// It does not answer, at least not yet.
    Unknown,
}

/// Asks inside of the node that runs the API server. kubeadm goes on in there when kind is gone, so that a cluster that
/// answers may still lack what kind does after it; the last of that is a storage class.
///
/// # Errors
/// When `docker` may not be asked.
pub fn made(node: &Node) -> Result<Made> {
    let output = Command::new("docker")
        .args(["exec", &node.name, "kubectl", &format!("--kubeconfig={ADMIN}")])
        .args(["get", "storageclasses,namespaces", "--output=name"])
        .timeout(Duration::from_secs(10))
        .run();
    match output {
        Ok(output) => Ok(how_much(&output)),
        Err(error) if error.kind == ErrorKind::Timeout => Ok(Made::Unknown),
        Err(error) => Err(error),
    }
}

fn how_much(output: &Output) -> Made {
    if !output.success() {
        // Without the administrator's credentials there is no Kubernetes yet.
        let has_none = output.stderr_text().contains("no such file or directory");
        return if has_none { Made::Part } else { Made::Unknown };
    }
    let names = output.stdout_text();
    let is_of_kubernetes = |name: &str| {
        matches!(name, "namespace/default" | "namespace/local-path-storage")
            || name.starts_with("namespace/kube-")
    };
    if names.lines().all(|name| is_of_kubernetes(name.trim())) { Made::Part } else { Made::Whole }
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
    fn balancers_are_no_nodes() {
        let nodes = parse(
            "a-worker\trunning\tworker\na-control-plane\texited\tcontrol-plane\na-external-load-balancer\trunning\texternal-load-balancer\n",
        );
        assert_eq!(nodes.len(), 2);
        assert!(nodes[0].control_plane && !nodes[0].runs());
    }

    #[test]
    fn version_and_age_are_read_where_they_are_told() {
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

    fn said(code: i32, stdout: &str, stderr: &str) -> Made {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        how_much(&Output { code: Some(code), stdout, stderr, truncated: false })
    }

    #[test]
    fn only_what_nobody_can_have_anything_in_is_a_part() {
        let system = "namespace/default\nnamespace/kube-system\nnamespace/local-path-storage\n";
        assert_eq!(said(0, system, ""), Made::Part);
        let class = format!("storageclass.storage.k8s.io/standard\n{system}");
        assert_eq!(said(0, &class, ""), Made::Whole);
        assert_eq!(said(0, &format!("{system}namespace/shop\n"), ""), Made::Whole);
    }

    #[test]
    fn a_cluster_that_is_silent_is_no_part() {
        let none = "error: stat /etc/kubernetes/admin.conf: no such file or directory\n";
        assert_eq!(said(1, "", none), Made::Part);
        let refused = "The connection to the server lab-control-plane:6443 was refused\n";
        assert_eq!(said(1, "", refused), Made::Unknown);
    }
}
