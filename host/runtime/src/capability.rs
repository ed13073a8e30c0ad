//! The host side of every interface that a component may import.
//!
//! Owns the implementation of each interface and the boundary to the vault. `grant` decides whether a call is allowed;
//! every call goes through `host_call`.

pub(crate) mod cluster;
mod convert;
pub(crate) mod environment;
pub(crate) mod host_call;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod tcp;
pub(crate) mod trust;
pub(crate) mod workspace;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plugin::wit;
use todohost_cluster::{Client, Relay};
use todohost_model::object::Object;

/// An imported interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Clock and randomness, both deterministic; always granted.
    Env,
    /// Log lines and progress; always granted.
    Log,
    /// Files of the project and named files of the user.
    Workspace,
    /// Programs.
    Process,
    /// Reading the selected cluster.
    ClusterRead,
    /// Writing to the selected cluster.
    ClusterWrite,
    /// GET over HTTP.
    HttpProbe,
    /// Plain connections.
    Tcp,
}

impl Capability {
    /// All capabilities, in the order in which lists print them.
    pub const ALL: [Self; 8] = [
        Self::Env,
        Self::Log,
        Self::Workspace,
        Self::Process,
        Self::ClusterRead,
        Self::ClusterWrite,
        Self::HttpProbe,
        Self::Tcp,
    ];

    /// Name of the interface in the contract.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Log => "log",
            Self::Workspace => "workspace",
            Self::Process => "process",
            Self::ClusterRead => "cluster-read",
            Self::ClusterWrite => "cluster-write",
            Self::HttpProbe => "http-probe",
            Self::Tcp => "tcp",
        }
    }

    /// The capability with this interface name.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.interface() == name)
    }

    /// Whether the capability needs no grant, because it reaches only the user's screen.
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::Env | Self::Log)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.interface())
    }
}

/// The resources on which the capabilities of one target's calls act.
#[derive(Clone)]
pub struct CallEnvironment {
    /// The project's directory; every workspace path is inside it.
    pub project_root: PathBuf,
    /// The renderer's source, project-relative: the value of `$chart` in a granted glob.
    pub chart: Option<String>,
    /// The app's namespace: the value of `$namespace` in a granted scope.
    pub namespace: String,
    /// The user's home: the value of `~` in a granted glob.
    pub home: Option<PathBuf>,
    /// The user's kubeconfig files, first one wins.
    pub kubeconfig: Vec<PathBuf>,
    /// The user's environment variables. A program gets only those that its grant names.
    pub variables: BTreeMap<String, String>,
    /// The selected cluster, if it is known yet.
    pub cluster: Option<Client>,
    /// Connects from inside the cluster, if this run may create pods.
    pub relay: Option<Arc<Relay>>,
    /// Keeps secret values in the host.
    pub vault: Arc<dyn SecretBoundary>,
    /// Value path of the secret that the component's option `secret` names: the value of `$secret` in a grant.
    pub secret: Option<String>,
}

impl fmt::Debug for CallEnvironment {
    // The environment may hold credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CallEnvironment")
            .field("project_root", &self.project_root)
            .field("namespace", &self.namespace)
            .field("cluster", &self.cluster.is_some())
            .finish_non_exhaustive()
    }
}

/// The vault as capabilities see it: values of secrets never cross it towards a component.
pub trait SecretBoundary: Send + Sync {
    /// Replaces every data value of a Secret by a token.
    fn tokenise(&self, object: Object) -> Object;
    /// Puts real values in the place of tokens and placeholders, inside Secrets only.
    ///
    /// # Errors
    /// If a token or placeholder is outside a Secret.
    fn substitute(&self, object: Object) -> Result<Object, wit::Error>;
    /// Blanks every secret value in a text.
    fn redact(&self, text: &str) -> String;
    /// Blanks secret values in output of the app, including values of its Secrets that the user did not give.
    fn redact_output(&self, text: &str) -> String;
    /// Host and port named inside the secret at a value path.
    fn connect_host(&self, secret: &str) -> Option<(String, u16)>;
}

/// The boundary for a run without secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl SecretBoundary for NoSecrets {
    fn tokenise(&self, mut object: Object) -> Object {
        // Tokens need the vault's key. Without it, remove the data of a Secret.
        if object.get("kind").and_then(Value::as_str) == Some("Secret")
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("data");
            fields.remove("stringData");
        }
        object
    }

    fn substitute(&self, object: Object) -> Result<Object, wit::Error> {
        Ok(object)
    }

    fn redact(&self, text: &str) -> String {
        text.to_owned()
    }

    fn redact_output(&self, text: &str) -> String {
        text.to_owned()
    }

    fn connect_host(&self, _secret: &str) -> Option<(String, u16)> {
        None
    }
}
