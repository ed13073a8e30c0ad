//! The settings file of Docker Desktop. Reading it is faster than Docker Desktop's command, which takes seconds.
//!
//! Owns the path of the file on each system. In WSL the file is not available, because it belongs to Windows.

use serde::Deserialize;
use todohost_plugin::{ErrorKind, Result, workspace};

/// Paths on macOS, Windows and Linux.
const PLACES: [&str; 3] = [
    "~/Library/Group Containers/group.com.docker/settings-store.json",
    "~/AppData/Roaming/Docker/settings-store.json",
    "~/.docker/desktop/settings-store.json",
];

/// Settings that this plugin uses. The file contains only changed settings, so each may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Whether Kubernetes is enabled.
    #[serde(rename = "KubernetesEnabled")]
    pub enabled: Option<bool>,
    /// Provisioner: `kubeadm` or `kind`.
    #[serde(rename = "KubernetesMode")]
    pub mode: Option<String>,
    /// Number of nodes by `kind`.
    #[serde(rename = "KubernetesNodesCount")]
    pub nodes: Option<u32>,
    /// Version of Kubernetes by `kind`, e.g. `1.34.1`.
    #[serde(rename = "KubernetesNodesVersion")]
    pub version: Option<String>,
}

/// Reads the settings; `None` if the file does not exist or cannot be parsed.
///
/// # Errors
/// Fails if the file cannot be read or is not granted.
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
    fn unknown_settings_are_ignored() {
        let text = r#"{"AutoStart": false, "KubernetesEnabled": true, "KubernetesImagesRepository": "",
            "KubernetesMode": "kind", "KubernetesNodesCount": 2, "KubernetesNodesVersion": "1.34.1", "MemoryMiB": 8092}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!((settings.enabled, settings.mode.as_deref()), (Some(true), Some("kind")));
        assert_eq!((settings.nodes, settings.version.as_deref()), (Some(2), Some("1.34.1")));
        let empty: Settings = serde_json::from_str(r#"{"KubernetesMode": ""}"#).unwrap();
        assert_eq!(empty.enabled, None);
    }
}
