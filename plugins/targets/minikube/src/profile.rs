//! A profile as minikube keeps it: what the cluster runs in, what runs its containers, and its nodes.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, ErrorKind, Result, workspace};

/// What is known of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was made.
    Profile(Profile),
    /// minikube is there, the profile is not.
    Nothing,
    /// There is no program `minikube`, and no trace of one.
    NotInstalled,
}

/// A cluster that was made, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, which is that of its context.
    pub name: String,
    /// What the nodes are, e.g. `docker` for containers of that engine.
    pub driver: String,
    /// What runs containers on the nodes.
    pub runtime: String,
    /// The version of Kubernetes.
    pub version: String,
    /// Memory of each node in MiB, where minikube noted it.
    pub memory: Option<u64>,
    /// The nodes, the first one's API server first.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of its machine or container.
    pub machine: String,
    /// Its address, as far as minikube noted it.
    pub address: String,
}

impl Profile {
    /// Names of machines or containers.
    pub fn machines(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.machine.clone()).collect()
    }

    /// Whether the nodes are containers of the Docker engine.
    pub fn in_docker(&self) -> bool {
        self.driver == "docker"
    }

    /// Whether there is no node but this very machine.
    pub fn on_bare_machine(&self) -> bool {
        self.driver == "none"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFile {
    name: String,
    driver: String,
    kubernetes_config: KubernetesConfig,
    #[serde(default)]
    memory: Option<u64>,
    #[serde(default)]
    nodes: Vec<NodeConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KubernetesConfig {
    kubernetes_version: String,
    #[serde(default)]
    container_runtime: String,
}

#[derive(Deserialize)]
struct NodeConfig {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "IP", default)]
    address: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    valid: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Config")]
    config: ConfigFile,
}

/// Looks a profile up: in minikube's own file, which takes no time, else by asking minikube, whose home may be elsewhere.
///
/// # Errors
/// When the file cannot be understood.
pub fn find(name: &str) -> Result<Found> {
    match workspace::read(&format!("~/.minikube/profiles/{name}/config.json")) {
        Ok(bytes) => return parse(&bytes).map(Found::Profile),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let list = Command::new("minikube")
        .args(["profile", "list", "--light", "--output", "json"])
        .timeout(Duration::from_secs(10))
        .run();
    match list {
        // Without any profile minikube answers with an error of its own.
        Ok(output) => {
            Ok(listed(&output.stdout_text(), name).map_or(Found::Nothing, Found::Profile))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::NotInstalled),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> Result<Profile> {
    serde_json::from_slice(bytes).map(ConfigFile::profile).map_err(|error| {
        Error::internal("minikube.profile-unreadable", "minikube's file about the profile cannot be understood")
            .cause(error.to_string())
            .help("`minikube profile list` says whether minikube itself understands it; `minikube delete` removes it")
    })
}

fn listed(text: &str, name: &str) -> Option<Profile> {
    let list: List = serde_json::from_str(text.trim()).ok()?;
    let mut configs = list.valid.into_iter().map(|listed| listed.config);
    configs.find(|config| config.name == name).map(ConfigFile::profile)
}

impl ConfigFile {
    fn profile(self) -> Profile {
        let several = self.nodes.len() > 1;
        let machine = |node: &NodeConfig| {
            let is_first = node.name.is_empty() || node.name == self.name || !several;
            if is_first { self.name.clone() } else { format!("{}-{}", self.name, node.name) }
        };
        let nodes = self.nodes.iter();
        Profile {
            nodes: nodes
                .map(|node| Node { machine: machine(node), address: node.address.clone() })
                .collect(),
            driver: self.driver,
            // Profiles of long ago do not say it.
            runtime: if self.kubernetes_config.container_runtime.is_empty() {
                "docker".to_owned()
            } else {
                self.kubernetes_config.container_runtime
            },
            version: self.kubernetes_config.kubernetes_version,
            memory: self.memory.filter(|memory| *memory > 0),
            name: self.name,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What minikube 1.36 writes, less what is not read.
    pub const CONFIG: &str = r#"{
        "Name": "minikube", "Memory": 4096, "CPUs": 2, "Driver": "docker",
        "KubernetesConfig": { "KubernetesVersion": "v1.35.4", "ClusterName": "minikube",
            "ContainerRuntime": "containerd", "CRISocket": "" },
        "Nodes": [ { "Name": "", "IP": "192.168.49.2", "Port": 8443, "KubernetesVersion": "v1.35.4",
            "ContainerRuntime": "containerd", "ControlPlane": true, "Worker": true } ],
        "Addons": { "storage-provisioner": true }, "ExposedPorts": [] }"#;

    pub fn profile() -> Profile {
        parse(CONFIG.as_bytes()).unwrap()
    }

    #[test]
    fn a_profile_is_read() {
        let profile = profile();
        assert_eq!((profile.driver.as_str(), profile.runtime.as_str()), ("docker", "containerd"));
        assert_eq!((profile.version.as_str(), profile.memory), ("v1.35.4", Some(4096)));
        assert_eq!(
            profile.nodes,
            [Node { machine: "minikube".into(), address: "192.168.49.2".into() }]
        );
    }

    #[test]
    fn further_nodes_are_named_after_the_first() {
        let text = CONFIG.replace(
            "\"Nodes\": [",
            r#""Nodes": [ { "Name": "m02", "IP": "192.168.49.3", "Worker": true },"#,
        );
        let machines = parse(text.as_bytes()).unwrap().machines();
        assert_eq!(machines, ["minikube-m02", "minikube"]);
    }

    #[test]
    fn the_list_is_searched_by_name() {
        let list = format!(
            r#"{{"invalid": [], "valid": [{{"Name": "minikube", "Status": "Unknown", "Config": {CONFIG}}}]}}"#
        );
        assert_eq!(listed(&list, "minikube"), Some(profile()));
        assert_eq!(listed(&list, "other"), None);
        assert_eq!(listed(r#"{"error": "no profile"}"#, "minikube"), None);
        assert_eq!(listed("", "minikube"), None);
    }

    #[test]
    fn a_file_that_is_something_else_says_what_to_do() {
        let error = parse(b"{}").unwrap_err();
        assert_eq!(error.code, "minikube.profile-unreadable");
        assert!(error.help.unwrap().contains("minikube delete"));
    }
}
