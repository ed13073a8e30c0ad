//! The user's consents, stored outside of every project and keyed by the component's digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::GrantError;
use crate::plugin::PluginInfo;
use crate::plugin::manifest::Requests;

const FILE: &str = "grants.toml";

/// The file `grants.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consents {
    #[serde(default)]
    grants: BTreeMap<String, Consent>,
}

/// One component's consent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    /// Id and version at the time of consent; for readers of the file.
    plugin: String,
    /// Path of the component at the time of consent; for readers of the file.
    path: PathBuf,
    granted: Requests,
}

pub(super) fn file(config_dir: &Path) -> PathBuf {
    config_dir.join(FILE)
}

impl Consents {
    /// Reads the file. A missing file grants nothing.
    pub(super) fn read(config_dir: &Path) -> Result<Self, GrantError> {
        let path = file(config_dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(GrantError::Unreadable { source }),
        };
        refuse_writable_by_others(&path)?;
        toml::from_str(&text).map_err(|error| GrantError::Malformed {
            path,
            reason: error.message().replace('\n', " "),
        })
    }

    pub(super) fn of(&self, digest: &str) -> Option<&Requests> {
        self.grants.get(digest).map(|consent| &consent.granted)
    }

    /// The allowed component with this id whose consent covers most of the requests: its id and version, and the requests
    /// that it does not cover.
    pub(super) fn nearest(&self, id: &str, requests: &Requests) -> Option<(&str, Requests)> {
        self.grants
            .values()
            .filter(|consent| consent.plugin.split(' ').next() == Some(id))
            .map(|consent| (consent.plugin.as_str(), requests.beyond(&consent.granted)))
            .min_by_key(|(_, new)| new.lines().len())
    }

    pub(super) fn insert(&mut self, plugin: &PluginInfo) {
        let consent = Consent {
            plugin: format!("{} {}", plugin.id, plugin.version),
            path: plugin.path.clone(),
            granted: plugin.manifest.requests.clone(),
        };
        self.grants.insert(plugin.digest.clone(), consent);
    }

    /// Writes the file atomically.
    pub(super) fn write(&self, config_dir: &Path) -> Result<(), GrantError> {
        let path = file(config_dir);
        let text = toml::to_string_pretty(self).map_err(|error| GrantError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let header = "# Grants of plugins, by the sha256 of the component. Written by `todohost plugin allow`.\n\n";
        todohost_model::private_file::write(&path, format!("{header}{text}").as_bytes())
            .map_err(|source| GrantError::Unwritable { source })
    }
}

#[cfg(unix)]
fn refuse_writable_by_others(path: &Path) -> Result<(), GrantError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(|source| GrantError::Unreadable { source })?
        .permissions()
        .mode();
    if mode & 0o022 == 0 { Ok(()) } else { Err(GrantError::Exposed { path: path.to_owned() }) }
}

#[cfg(not(unix))]
fn refuse_writable_by_others(_path: &Path) -> Result<(), GrantError> {
    Ok(())
}
