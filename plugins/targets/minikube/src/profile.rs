//! Profiles of minikube: the driver, the container runtime and the nodes of a cluster.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, ErrorKind, Result, workspace};

/// Result of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The profile exists.
    Profile(Profile),
    /// minikube is installed, but the profile does not exist.
    Missing,
    /// minikube is not installed, and its file about the profile does not exist.
    NotInstalled,
}

/// A cluster, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Name of the profile and of its context.
    pub name: String,
    /// Driver of the nodes, e.g. `docker` for containers of the Docker engine.
    pub driver: String,
    /// Container runtime of the nodes.
    pub runtime: String,
    /// Version of Kubernetes.
    pub version: String,
    /// Memory of each node in MiB, if minikube recorded it.
    pub memory: Option<u64>,
    /// Nodes; the first one runs the API server.
    pub nodes: Vec<Node>,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name of its virtual machine or container.
    pub machine: String,
    /// Address recorded by minikube; may be empty.
    pub address: String,
}

impl Profile {
    /// Names of the virtual machines or containers.
    pub fn machines(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.machine.clone()).collect()
    }

    /// Reports whether the nodes are containers of the Docker engine.
    pub fn in_docker(&self) -> bool {
        self.driver == "docker"
    }

    /// Reports whether this machine is the only node.
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

/// Finds a profile: first in minikube's file, which is fast, then with `minikube profile list`, because `MINIKUBE_HOME`
/// may be another folder.
///
/// # Errors
/// Fails if the file is malformed.
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
        // Without any profile, minikube prints an error document.
        Ok(output) => {
            Ok(listed(&output.stdout_text(), name).map_or(Found::Missing, Found::Profile))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Found::NotInstalled),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> Result<Profile> {
    serde_json::from_slice(bytes).map(ConfigFile::profile).map_err(|error| {
        Error::internal("minikube.profile-unreadable", "cannot read minikube's file about the profile")
            .cause(error.to_string())
            .help("run `minikube profile list` to check whether minikube can read it; `minikube delete` removes the profile")
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
            // Old versions of minikube did not record the runtime.
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

    /// A file of minikube 1.36, without unused fields.
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
    fn profile_is_read() {
        let profile = profile();
        assert_eq!((profile.driver.as_str(), profile.runtime.as_str()), ("docker", "containerd"));
        assert_eq!((profile.version.as_str(), profile.memory), ("v1.35.4", Some(4096)));
        assert_eq!(
            profile.nodes,
            [Node { machine: "minikube".into(), address: "192.168.49.2".into() }]
        );
    }

    #[test]
    fn machines_of_other_nodes_are_named_after_the_first() {
        let text = CONFIG.replace(
            "\"Nodes\": [",
            r#""Nodes": [ { "Name": "m02", "IP": "192.168.49.3", "Worker": true },"#,
        );
        let machines = parse(text.as_bytes()).unwrap().machines();
        assert_eq!(machines, ["minikube-m02", "minikube"]);
    }

    #[test]
    fn profile_is_found_in_the_list_by_name() {
        let list = format!(
            r#"{{"invalid": [], "valid": [{{"Name": "minikube", "Status": "Unknown", "Config": {CONFIG}}}]}}"#
        );
        assert_eq!(listed(&list, "minikube"), Some(profile()));
        assert_eq!(listed(&list, "other"), None);
        assert_eq!(listed(r#"{"error": "no profile"}"#, "minikube"), None);
        assert_eq!(listed("", "minikube"), None);
    }

    #[test]
    fn malformed_file_is_an_error_with_help() {
        let error = parse(b"{}").unwrap_err();
        assert_eq!(error.code, "minikube.profile-unreadable");
        assert!(error.help.unwrap().contains("minikube delete"));
    }
}
