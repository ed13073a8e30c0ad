//! What Docker Desktop keeps about itself in a file, read because its own command takes seconds.
//!
//! Owns where the file is on each system. Inside of WSL there is none: the file is Windows'.

use serde::Deserialize;
use todohost_plugin::{ErrorKind, Result, workspace};

/// On macOS, on Windows and on Linux.
const PLACES: [&str; 3] = [
    "~/Library/Group Containers/group.com.docker/settings-store.json",
    "~/AppData/Roaming/Docker/settings-store.json",
    "~/.docker/desktop/settings-store.json",
];

/// What matters of it. Everything may be missing: the file only holds what was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Kubernetes is switched on.
    #[serde(rename = "KubernetesEnabled")]
    pub enabled: Option<bool>,
    /// `kubeadm` or `kind`.
    #[serde(rename = "KubernetesMode")]
    pub mode: Option<String>,
    /// How many nodes `kind` makes.
    #[serde(rename = "KubernetesNodesCount")]
    pub nodes: Option<u32>,
    /// The version that `kind` makes, e.g. `1.34.1`.
    #[serde(rename = "KubernetesNodesVersion")]
    pub version: Option<String>,
}

/// Reads it; `None` where Docker Desktop keeps none here, or one that nobody understands.
///
/// # Errors
/// When it may not be read.
pub fn read() -> Result<Option<Settings>> {
    for place in PLACES {
        match workspace::read(place) {
            Ok(bytes) => return Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_read() {
        let text = r#"{"AutoStart": false, "KubernetesEnabled": true, "KubernetesImagesRepository": "",
            "KubernetesMode": "kind", "KubernetesNodesCount": 2, "KubernetesNodesVersion": "1.34.1", "MemoryMiB": 8092}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!((settings.enabled, settings.mode.as_deref()), (Some(true), Some("kind")));
        assert_eq!((settings.nodes, settings.version.as_deref()), (Some(2), Some("1.34.1")));
        let empty: Settings = serde_json::from_str(r#"{"KubernetesMode": ""}"#).unwrap();
        assert_eq!(empty.enabled, None);
    }
}
