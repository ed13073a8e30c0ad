//! Components: finding, reading, compiling and calling them.
//!
//! Owns everything between a file of WebAssembly and a typed call with limits and a deadline. What a
//! component may do is `grant`'s decision, what it can call is `capability`'s, when it is called is
//! the plan's.

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
pub use error::{Fault, LastWords, PluginError};
pub use handle::{Apply, Build, Check, Render, Target, Verify};
pub use manifest::Manifest;
pub use registry::{Registry, RegistryOptions, Skipped};
pub use runtime::{Plugin, Runtime, RuntimeOptions};
pub(crate) use state::State;

use crate::capability::Capability;

/// A step of a deploy that a component can take; found in its type, never in its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Knows one kind of cluster.
    Target,
    /// Builds images.
    Build,
    /// Renders manifests.
    Render,
    /// Plans how objects are applied.
    Apply,
    /// Judges what runs.
    Verify,
    /// Judges anything, with findings.
    Check,
}

impl Role {
    /// All of them, in the order of a deploy.
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

    /// The role behind an interface name.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.interface() == name)
    }

    /// Pure functions of their arguments: one instance may serve many calls, and time stands still.
    pub const fn is_pure(self) -> bool {
        matches!(self, Self::Render | Self::Apply | Self::Verify)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.interface())
    }
}

/// What is known of a component without compiling it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Id in its manifest.
    pub id: String,
    /// Version in its manifest.
    pub version: semver::Version,
    /// One line.
    pub description: String,
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Steps that it can take.
    pub roles: BTreeSet<Role>,
    /// What it can call.
    pub imports: BTreeSet<Capability>,
    /// It imports WASI, and gets one without any power.
    pub wasi: bool,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Built with this host, so granted what it requests.
    pub core: bool,
}
