//! The Granter: the one place that decides what a component may do (invariant I2).
//!
//! Imports ⊆ requests ⊆ grants. Owns that rule, the user's consents and the matching of patterns.
//! It does not act: capabilities ask it first, below every version of the contract.

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

/// Decides what a component is granted.
#[derive(Clone, Debug)]
pub struct Granter {
    config_dir: PathBuf,
    consents: consent::Consents,
}

/// What one component was granted; made by the [`Granter`] alone.
#[derive(Clone, Debug)]
pub struct Grants {
    plugin: String,
    path: PathBuf,
    core: bool,
    granted: Requests,
    linked: BTreeSet<Capability>,
}

/// Why a component may not run.
#[derive(Debug, Error, Diagnostic)]
pub enum GrantError {
    /// It imports what its manifest does not ask for.
    #[error("plugin `{plugin}` imports `{capability}` but its manifest requests nothing of it")]
    #[diagnostic(
        code(todohost::grant::not_requested),
        help("name what it needs under [requests] in its plugin.toml and rebuild it")
    )]
    NotRequested {
        /// Plugin id.
        plugin: String,
        /// What it imports.
        capability: Capability,
    },
    /// No role that it has may do that.
    #[error("plugin `{plugin}` imports `{capability}`, which a plugin for {roles} may never have")]
    #[diagnostic(
        code(todohost::grant::role),
        help("let another plugin do it, or report a finding that says what to do")
    )]
    Role {
        /// Plugin id.
        plugin: String,
        /// What it imports.
        capability: Capability,
        /// Its roles.
        roles: String,
    },
    /// The user has not consented to all that it asks for.
    #[error("plugin `{plugin}` lacks a grant: {}", missing.join("; "))]
    #[diagnostic(
        code(todohost::grant::missing),
        help("read what it asks for; if you trust it with that, type: todohost plugin allow {}", path.display())
    )]
    Missing {
        /// Plugin id.
        plugin: String,
        /// Where it is.
        path: PathBuf,
        /// The grants to add, as they stand in a manifest.
        missing: Vec<String>,
    },
    /// The user consented to another component of this name.
    #[error("plugin `{plugin}` is not the one that you allowed ({allowed}): {}", more(new))]
    #[diagnostic(
        code(todohost::grant::changed),
        help("if you trust it as it is now, type: todohost plugin allow {}", path.display())
    )]
    Changed {
        /// Plugin id.
        plugin: String,
        /// Where it is.
        path: PathBuf,
        /// Name and version of the one that was allowed.
        allowed: String,
        /// What it asks for beyond that, as it stands in a manifest.
        new: Vec<String>,
    },
    /// The consents cannot be read.
    #[error("the user's grants cannot be read: {source}")]
    #[diagnostic(code(todohost::grant::unreadable))]
    Unreadable {
        /// Which file and why.
        source: std::io::Error,
    },
    /// Others could have written the consents.
    #[error("the grants in {} can be changed by other users", path.display())]
    #[diagnostic(code(todohost::grant::exposed), help("type: chmod 600 {}", path.display()))]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The consents are not in the right form.
    #[error("the grants in {} are malformed: {reason}", path.display())]
    #[diagnostic(
        code(todohost::grant::malformed),
        help("correct the file, or remove it and allow the plugins again")
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The consents cannot be written.
    #[error("the user's grants cannot be written: {source}")]
    #[diagnostic(code(todohost::grant::unwritable))]
    Unwritable {
        /// Which file and why.
        source: std::io::Error,
    },
}

fn more(new: &[String]) -> String {
    if new.is_empty() {
        return "it asks for nothing new".to_owned();
    }
    format!("it also asks for {}", new.join("; "))
}

impl GrantError {
    /// Exit code of a run that ends with it.
    pub fn exit(&self) -> Exit {
        Exit::Plugin
    }
}

impl Granter {
    /// Reads the user's consents.
    ///
    /// # Errors
    /// When they cannot be read, are malformed, or others could have written them.
    pub fn open(config_dir: &Path) -> Result<Self, GrantError> {
        let consents = consent::Consents::read(config_dir)?;
        Ok(Self { config_dir: config_dir.to_owned(), consents })
    }

    /// What a component may do.
    ///
    /// # Errors
    /// When it imports what it does not request, what its roles may never have, or what was not
    /// granted.
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
            // A consent may be wider than what is asked for now; no more than that is given.
            granted: requests.clone(),
            linked: plugin.imports.clone(),
        })
    }

    /// Whether the component may run as it is: core, or consented to, or asking for nothing.
    pub fn is_allowed(&self, plugin: &PluginInfo) -> bool {
        self.grant(plugin).is_ok()
    }

    /// Records the user's consent to all that the component requests.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn allow(&mut self, plugin: &PluginInfo) -> Result<(), GrantError> {
        // Another process may have allowed another plugin since.
        let mut consents = consent::Consents::read(&self.config_dir)?;
        consents.insert(plugin);
        consents.write(&self.config_dir)?;
        self.consents = consents;
        Ok(())
    }

    /// The file that keeps the consents.
    pub fn file(&self) -> PathBuf {
        consent::file(&self.config_dir)
    }
}

impl Grants {
    /// The capabilities that are linked; no other exists for the component.
    pub fn linked(&self) -> &BTreeSet<Capability> {
        &self.linked
    }

    /// Value paths of the secrets whose real value the component may see.
    pub fn revealed(&self) -> &[String] {
        &self.granted.reveal
    }
}

/// The worlds of the contract: what a role may import, whatever it asks for.
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
    fn grants_that_make_no_sense_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Granter::open(directory.path()).is_ok(), "no file grants nothing");
        let file = directory.path().join("grants.toml");
        todohost_model::private_file::write(&file, b"[grants.abc]\nsurprise = 1\n").unwrap();
        let error = Granter::open(directory.path()).unwrap_err();
        assert!(matches!(error, GrantError::Malformed { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn grants_that_others_may_write_are_refused() {
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
