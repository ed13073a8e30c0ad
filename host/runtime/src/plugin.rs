//! Components: finds, reads, compiles and calls them.
//!
//! Owns everything between a file of WebAssembly and a typed call with limits and a deadline. `grant` decides on
//! permissions, `capability` implements the imports, and the engine decides on the time of a call.

mod call;
mod engine;
mod error;
mod handle;
mod introspect;
mod limit;
pub mod manifest;
mod registry;
mod runtime;
mod state;
#[cfg(test)]
mod tests;
pub mod wit;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use call::{CallContext, CallFacts, EnvironmentSeed};
pub use error::{CrashReport, PluginError, PluginFault};
pub use handle::{Apply, Build, Check, Render, Target, Verify};
pub use manifest::Manifest;
pub use registry::{Registry, RegistryOptions, Skipped};
pub use runtime::{Plugin, Runtime, RuntimeOptions};
pub(crate) use state::State;

use crate::capability::Capability;

/// A step of a deploy that a component implements. The role is read from its exports, never from its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Manages one kind of cluster.
    Target,
    /// Builds images.
    Build,
    /// Renders manifests.
    Render,
    /// Plans how objects are applied.
    Apply,
    /// Judges the running objects.
    Verify,
    /// Judges a subject of any phase, with findings.
    Check,
}

impl Role {
    /// All roles, in the order of a deploy.
    pub const ALL: [Self; 6] =
        [Self::Target, Self::Build, Self::Render, Self::Apply, Self::Verify, Self::Check];

    /// Name of the interface in the contract.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Build => "build",
            Self::Render => "render",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Check => "check",
        }
    }

    /// The role with this interface name.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.interface() == name)
    }

    /// Whether the role's functions depend only on their arguments. Their clock does not advance.
    pub const fn is_pure(self) -> bool {
        matches!(self, Self::Render | Self::Apply | Self::Verify)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.interface())
    }
}

/// The description of a component, read without compiling it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Id in its manifest.
    pub id: String,
    /// Version in its manifest.
    pub version: semver::Version,
    /// Description of one line.
    pub description: String,
    /// The component's file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Roles that it exports.
    pub roles: BTreeSet<Role>,
    /// Capabilities that it imports.
    pub imports: BTreeSet<Capability>,
    /// Whether it imports WASI. It gets a WASI without files, variables and network.
    pub wasi: bool,
    pub manifest: Manifest,
    /// Whether it was built with this host. Core plugins are granted all their requests.
    pub core: bool,
}
