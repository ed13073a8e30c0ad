//! The two ways in which Docker Desktop makes its cluster, which differ in whose images the nodes see.
//!
//! `kubeadm` makes one node, which runs the engine's own images. `kind` makes nodes that are containers with a store of
//! their own: images are brought to them as to those of the tool of that name. Docker Desktop hides these containers
//! from lists unless it is told to show them.

use crate::settings::Settings;
use std::time::Duration;
use todohost_plugin::Error;
use todohost_plugin::process::Command;
use todohost_plugin::workspace::Context;

/// By which the kubeconfig of `kubeadm`'s cluster knows the machine; that of `kind` has a port of the loopback address.
pub const INTERNAL: &str = "kubernetes.docker.internal";

/// How the cluster was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioner {
    /// One node, on the engine itself.
    Kubeadm,
    /// Containers, by their names.
    Kind(Vec<String>),
}

impl Provisioner {
    /// In Docker Desktop's own word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Kubeadm => "kubeadm",
            Self::Kind(_) => "kind",
        }
    }
}

/// Which one it is: by the settings, else by the context, else by looking for the nodes.
pub fn of(settings: Option<&Settings>, context: Option<&Context>) -> Provisioner {
    let said = settings.and_then(|settings| settings.mode.as_deref()).unwrap_or_default();
    let is_internal = context.is_some_and(|context| context.host().eq_ignore_ascii_case(INTERNAL));
    if said == "kubeadm" || (said != "kind" && is_internal) {
        return Provisioner::Kubeadm;
    }
    let shown = shown();
    match (said, shown.is_empty()) {
        (_, false) => Provisioner::Kind(shown),
        ("kind", true) => {
            let count = settings.and_then(|settings| settings.nodes).unwrap_or(1);
            Provisioner::Kind(named(count))
        }
        _ => Provisioner::Kubeadm,
    }
}

/// The nodes that the engine lists.
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

/// The names that `kind` gives to so many nodes.
fn named(count: u32) -> Vec<String> {
    let worker = |number: u32| match number {
        1 => "desktop-worker".to_owned(),
        number => format!("desktop-worker{number}"),
    };
    // More than anybody runs on a laptop: the number comes from a file.
    let workers = (1..count.clamp(1, 32)).map(worker);
    std::iter::once("desktop-control-plane".to_owned()).chain(workers).collect()
}

/// Nodes that cannot be asked are most likely hidden.
pub fn hidden(error: Error) -> Error {
    let says_gone = |text: &String| text.contains("No such container");
    if !error.causes.iter().any(says_gone) {
        return error;
    }
    Error::unavailable(
        "docker-desktop.nodes-hidden",
        "Docker Desktop hides the nodes of its cluster, so that no image can be brought to them",
    )
    .because(error.causes)
    .help(
        "Docker Desktop, Settings, Kubernetes: switch on \"Show system containers (advanced)\", then Apply; or choose \
         the provisioner kubeadm there, whose node runs the engine's own images",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str) -> Context {
        let name = "docker-desktop".to_owned();
        Context { cluster: name.clone(), name, server: server.into() }
    }

    fn said(mode: &str) -> Settings {
        Settings { mode: Some(mode.into()), ..Settings::default() }
    }

    #[test]
    fn what_settings_and_context_say_needs_no_look_at_containers() {
        let internal = context("kubernetes.docker.internal");
        let loopback = context("127.0.0.1");
        assert_eq!(of(Some(&said("kubeadm")), Some(&loopback)), Provisioner::Kubeadm);
        assert_eq!(of(Some(&said("")), Some(&internal)), Provisioner::Kubeadm);
        assert_eq!(of(None, Some(&internal)), Provisioner::Kubeadm);
    }

    #[test]
    fn nodes_are_listed_or_named_as_kind_names_them() {
        let text = "desktop-worker\tworker\ndesktop-control-plane\tcontrol-plane\nkind-registry-mirror\t\n";
        assert_eq!(listed(text), ["desktop-control-plane", "desktop-worker"]);
        assert_eq!(listed("other-control-plane\n"), Vec::<String>::new());
        assert_eq!(named(0), ["desktop-control-plane"]);
        let three = ["desktop-control-plane", "desktop-worker", "desktop-worker2"];
        assert_eq!(named(3), three);
        assert_eq!(named(u32::MAX).len(), 32);
    }

    #[test]
    fn only_a_container_that_is_not_shown_is_hidden() {
        let gone =
            Error::internal("node.images-unknown", "x")
                .because(["Error response from daemon: No such container: desktop-control-plane"
                    .to_owned()]);
        let error = hidden(gone);
        assert_eq!(error.code, "docker-desktop.nodes-hidden");
        assert!(error.help.unwrap().contains("Show system containers"));
        let other =
            Error::internal("node.images-unknown", "x").because(["no space left".to_owned()]);
        assert_eq!(hidden(other).code, "node.images-unknown");
    }
}
