//! The Granter: the only module that decides on a component's permissions (invariant I2).
//!
//! Imports ⊆ requests ⊆ grants. Owns that rule, the user's consents and the matching of patterns.
//! It does not act on a call: capabilities ask it first, in every version of the contract.

mod consent;
pub(crate) mod pattern;
mod scope;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

pub use pattern::text_matches;
pub(crate) use scope::Scope;

use crate::capability::Capability;
use crate::plugin::manifest::Requests;
use crate::plugin::{PluginInfo, Role};
use todohost_model::exit::Exit;

/// Grants components their requests.
#[derive(Clone, Debug)]
pub struct Granter {
    config_dir: PathBuf,
    consents: consent::Consents,
}

/// The grants of one component. Only the [`Granter`] creates them.
#[derive(Clone, Debug)]
pub struct Grants {
    plugin: String,
    path: PathBuf,
    core: bool,
    granted: Requests,
    linked: BTreeSet<Capability>,
}

/// The reason why a component cannot run.
#[derive(Debug, Error, Diagnostic)]
pub enum GrantError {
    /// The component imports a capability that its manifest does not request.
    #[error("plugin `{plugin}` imports `{capability}`, but its manifest does not request it")]
    #[diagnostic(
        code(todohost::grant::not_requested),
        help("add the requests to [requests] in its plugin.toml and rebuild it")
    )]
    NotRequested {
        /// Plugin id.
        plugin: String,
        /// The imported capability.
        capability: Capability,
    },
    /// None of the component's roles permits the capability.
    #[error(
        "plugin `{plugin}` imports `{capability}`, which is never granted to a plugin for {roles}"
    )]
    #[diagnostic(
        code(todohost::grant::role),
        help("use a plugin of another role for this, or report a finding with a help")
    )]
    Role {
        /// Plugin id.
        plugin: String,
        /// The imported capability.
        capability: Capability,
        roles: String,
    },
    /// The user has not consented to all requests.
    #[error("plugin `{plugin}` lacks a grant: {}", missing.join("; "))]
    #[diagnostic(
        code(todohost::grant::missing),
        help("read its requests; if you trust it with them, type: todohost plugin allow {}", path.display())
    )]
    Missing {
        /// Plugin id.
        plugin: String,
        /// The component's file.
        path: PathBuf,
        /// The missing grants, in the form of a manifest.
        missing: Vec<String>,
    },
    /// The user consented to another component with this id.
    #[error("plugin `{plugin}` is not the one that you allowed ({allowed}): {}", more(new))]
    #[diagnostic(
        code(todohost::grant::changed),
        help("if you trust the new version, type: todohost plugin allow {}", path.display())
    )]
    Changed {
        /// Plugin id.
        plugin: String,
        /// The component's file.
        path: PathBuf,
        /// Id and version of the allowed component.
        allowed: String,
        /// The additional requests, in the form of a manifest.
        new: Vec<String>,
    },
    /// The consents cannot be read.
    #[error("cannot read the user's grants: {source}")]
    #[diagnostic(code(todohost::grant::unreadable))]
    Unreadable {
        /// The error, with the file.
        source: std::io::Error,
    },
    /// Other users can write the file with the consents.
    #[error("the grants in {} can be changed by other users", path.display())]
    #[diagnostic(code(todohost::grant::exposed), help("type: chmod 600 {}", path.display()))]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file with the consents is malformed.
    #[error("the grants in {} are malformed: {reason}", path.display())]
    #[diagnostic(
        code(todohost::grant::malformed),
        help("correct the file, or remove it and allow the plugins again")
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        reason: String,
    },
    /// The consents cannot be written.
    #[error("cannot write the user's grants: {source}")]
    #[diagnostic(code(todohost::grant::unwritable))]
    Unwritable {
        /// The error, with the file.
        source: std::io::Error,
    },
}

fn more(new: &[String]) -> String {
    if new.is_empty() {
        return "it has no new requests".to_owned();
    }
    format!("it also requests {}", new.join("; "))
}

impl GrantError {
    /// Exit code of a run that ends with this error.
    pub fn exit(&self) -> Exit {
        Exit::Plugin
    }
}

impl Granter {
    /// Reads the user's consents.
    ///
    /// # Errors
    /// If they cannot be read, are malformed, or are writable by other users.
    pub fn open(config_dir: &Path) -> Result<Self, GrantError> {
        let consents = consent::Consents::read(config_dir)?;
        Ok(Self { config_dir: config_dir.to_owned(), consents })
    }

    /// Grants a component its requests.
    ///
    /// # Errors
    /// If it imports a capability that it does not request or that its roles never have, or if the user did not consent
    /// to a request.
    pub fn grant(&self, plugin: &PluginInfo) -> Result<Grants, GrantError> {
        let requests = &plugin.manifest.requests;
        for &capability in &plugin.imports {
            if !plugin.roles.iter().any(|role| may_import(*role, capability)) {
                let roles: Vec<String> = plugin.roles.iter().map(ToString::to_string).collect();
                return Err(GrantError::Role {
                    plugin: plugin.id.clone(),
                    capability,
                    roles: if roles.is_empty() { "no step".to_owned() } else { roles.join(", ") },
                });
            }
            if !requests.covers(capability) {
                return Err(GrantError::NotRequested { plugin: plugin.id.clone(), capability });
            }
        }
        let nothing = Requests::default();
        let granted = if plugin.core {
            requests
        } else {
            self.consents.of(&plugin.digest).unwrap_or(&nothing)
        };
        let missing = requests.beyond(granted);
        if !missing.is_empty() {
            if let Some((allowed, new)) = self.consents.nearest(&plugin.id, requests) {
                return Err(GrantError::Changed {
                    plugin: plugin.id.clone(),
                    path: plugin.path.clone(),
                    allowed: allowed.to_owned(),
                    new: new.lines(),
                });
            }
            return Err(GrantError::Missing {
                plugin: plugin.id.clone(),
                path: plugin.path.clone(),
                missing: missing.lines(),
            });
        }
        Ok(Grants {
            plugin: plugin.id.clone(),
            path: plugin.path.clone(),
            core: plugin.core,
            // Grant the requests, not the consent, which may be wider.
            granted: requests.clone(),
            linked: plugin.imports.clone(),
        })
    }

    /// Whether the component can run: it is a core plugin, has consent, or requests nothing.
    pub fn is_allowed(&self, plugin: &PluginInfo) -> bool {
        self.grant(plugin).is_ok()
    }

    /// Records the user's consent to all requests of the component.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn allow(&mut self, plugin: &PluginInfo) -> Result<(), GrantError> {
        // Read again: another process may have allowed a plugin in the meantime.
        let mut consents = consent::Consents::read(&self.config_dir)?;
        consents.insert(plugin);
        consents.write(&self.config_dir)?;
        self.consents = consents;
        Ok(())
    }

    /// The file with the consents.
    pub fn file(&self) -> PathBuf {
        consent::file(&self.config_dir)
    }
}

impl Grants {
    /// The capabilities that are linked into the component.
    pub fn linked(&self) -> &BTreeSet<Capability> {
        &self.linked
    }

    /// Value paths of the secrets that are revealed to the component.
    pub fn revealed(&self) -> &[String] {
        &self.granted.reveal
    }
}

/// The worlds of the contract: the imports of each role, independent of requests.
const fn may_import(role: Role, capability: Capability) -> bool {
    use Capability::{ClusterRead, Env, HttpProbe, Log, Tcp, Workspace};
    match role {
        Role::Target | Role::Build => true,
        Role::Render => matches!(capability, Env | Log | Workspace | ClusterRead),
        Role::Apply | Role::Verify => matches!(capability, Env | Log),
        Role::Check => {
            matches!(capability, Env | Log | Workspace | ClusterRead | HttpProbe | Tcp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_grants_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Granter::open(directory.path()).is_ok(), "no file grants nothing");
        let file = directory.path().join("grants.toml");
        todohost_model::private_file::write(&file, b"[grants.abc]\nsurprise = 1\n").unwrap();
        let error = Granter::open(directory.path()).unwrap_err();
        assert!(matches!(error, GrantError::Malformed { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn grants_writable_by_other_users_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("grants.toml");
        todohost_model::private_file::write(&file, b"").unwrap();
        assert!(Granter::open(directory.path()).is_ok());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = Granter::open(directory.path()).unwrap_err();
        assert!(matches!(error, GrantError::Exposed { .. }), "{error}");
    }
}
