//! The two provisioners of Docker Desktop's cluster, which differ in the image store of the nodes.
//!
//! `kubeadm` creates one node, which runs the engine's images. `kind` creates nodes that are containers with their own
//! image store; images are delivered to them like to a cluster of the tool kind. Docker Desktop hides these containers
//! from lists unless the user enables "Show system containers".

use crate::settings::Settings;
use std::time::Duration;
use todohost_plugin::Error;
use todohost_plugin::process::Command;
use todohost_plugin::workspace::Context;

/// Host of the API server in the kubeconfig of a cluster by `kubeadm`. A cluster by `kind` uses a loopback address.
pub const INTERNAL: &str = "kubernetes.docker.internal";

/// Provisioner of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioner {
    /// One node that uses the engine itself.
    Kubeadm,
    /// Nodes in containers, by their names.
    Kind(Vec<String>),
}

impl Provisioner {
    /// The provisioner's name in Docker Desktop.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kubeadm => "kubeadm",
            Self::Kind(_) => "kind",
        }
    }
}

/// Determines the provisioner by the settings, else by the context, else by the listed nodes.
pub fn of(settings: Option<&Settings>, context: Option<&Context>) -> Provisioner {
    let mode = settings.and_then(|settings| settings.mode.as_deref()).unwrap_or_default();
    let is_internal = context.is_some_and(|context| context.host().eq_ignore_ascii_case(INTERNAL));
    if mode == "kubeadm" || (mode != "kind" && is_internal) {
        return Provisioner::Kubeadm;
    }
    let shown = shown();
    match (mode, shown.is_empty()) {
        (_, false) => Provisioner::Kind(shown),
        ("kind", true) => {
            let count = settings.and_then(|settings| settings.nodes).unwrap_or(1);
            Provisioner::Kind(named(count))
        }
        _ => Provisioner::Kubeadm,
    }
}

/// Names of the nodes that the engine lists.
fn shown() -> Vec<String> {
    let output = Command::new("docker")
        .args(["ps", "--filter", "label=io.x-k8s.kind.cluster=desktop"])
        .args(["--format", "{{.Names}}\t{{.Label \"io.x-k8s.kind.role\"}}"])
        .timeout(Duration::from_secs(10))
        .run();
    output.map(|output| listed(&output.stdout_text())).unwrap_or_default()
}

fn listed(text: &str) -> Vec<String> {
    let columns = text.lines().filter_map(|line| line.trim().split_once('\t'));
    let nodes = columns.filter(|(_, role)| matches!(*role, "control-plane" | "worker"));
    let mut names: Vec<String> = nodes.map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

/// Names that `kind` gives to `count` nodes.
fn named(count: u32) -> Vec<String> {
    let worker = |number: u32| match number {
        1 => "desktop-worker".to_owned(),
        number => format!("desktop-worker{number}"),
    };
    // The limit guards against a malformed number in the settings file.
    let workers = (1..count.clamp(1, 32)).map(worker);
    std::iter::once("desktop-control-plane".to_owned()).chain(workers).collect()
}

/// Replaces the error about a missing container by one about hidden nodes, the likely cause.
pub fn explain_hidden_nodes(error: Error) -> Error {
    let says_gone = |text: &String| text.contains("No such container");
    if !error.causes.iter().any(says_gone) {
        return error;
    }
    Error::unavailable(
        "docker-desktop.nodes-hidden",
        "cannot deliver images: Docker Desktop hides the nodes of its cluster",
    )
    .because(error.causes)
    .help(
        "in Docker Desktop, Settings, Kubernetes, enable \"Show system containers (advanced)\" and press Apply; or \
         choose the provisioner kubeadm, which runs the engine's images",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str) -> Context {
        let name = "docker-desktop".to_owned();
        Context { cluster: name.clone(), name, server: server.into() }
    }

    fn with_mode(mode: &str) -> Settings {
        Settings { mode: Some(mode.into()), ..Settings::default() }
    }

    #[test]
    fn settings_or_context_determine_the_provisioner_without_docker() {
        let internal = context("kubernetes.docker.internal");
        let loopback = context("127.0.0.1");
        assert_eq!(of(Some(&with_mode("kubeadm")), Some(&loopback)), Provisioner::Kubeadm);
        assert_eq!(of(Some(&with_mode("")), Some(&internal)), Provisioner::Kubeadm);
        assert_eq!(of(None, Some(&internal)), Provisioner::Kubeadm);
    }

    #[test]
    fn nodes_are_listed_or_named_like_those_of_kind() {
        let text = "desktop-worker\tworker\ndesktop-control-plane\tcontrol-plane\nkind-registry-mirror\t\n";
        assert_eq!(listed(text), ["desktop-control-plane", "desktop-worker"]);
        assert_eq!(listed("other-control-plane\n"), Vec::<String>::new());
        assert_eq!(named(0), ["desktop-control-plane"]);
        let three = ["desktop-control-plane", "desktop-worker", "desktop-worker2"];
        assert_eq!(named(3), three);
        assert_eq!(named(u32::MAX).len(), 32);
    }

    #[test]
    fn missing_container_is_explained_as_hidden_node() {
        let gone =
            Error::internal("node.images-unknown", "x")
                .because(["Error response from daemon: No such container: desktop-control-plane"
                    .to_owned()]);
        let error = explain_hidden_nodes(gone);
        assert_eq!(error.code, "docker-desktop.nodes-hidden");
        assert!(error.help.unwrap().contains("Show system containers"));
        let other =
            Error::internal("node.images-unknown", "x").because(["no space left".to_owned()]);
        assert_eq!(explain_hidden_nodes(other).code, "node.images-unknown");
    }
}
