//! What a component may call, and what stands behind it.
//!
//! Owns the host side of every imported interface and the seam to the vault.
//! Whether a call is allowed is `grant`'s decision; every call passes the one funnel.

pub(crate) mod cluster;
pub(crate) mod environment;
pub(crate) mod funnel;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod process;
mod seam;
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
    /// All of them, in the order in which people read them.
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

    /// The capability behind an interface name.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.interface() == name)
    }

    /// Needs no grant: it reaches nothing but the user's screen.
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::Env | Self::Log)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.interface())
    }
}

/// What the capabilities of one target's calls act on.
#[derive(Clone)]
pub struct World {
    /// The project's directory; every workspace path is inside it.
    pub project_root: PathBuf,
    /// The renderer's source, project-relative; what `$chart` in a granted glob stands for.
    pub chart: Option<String>,
    /// The app's namespace; what `$namespace` in a granted scope stands for.
    pub namespace: String,
    /// The user's home; what `~` in a granted glob stands for.
    pub home: Option<PathBuf>,
    /// The user's kubeconfig files, first one wins.
    pub kubeconfig: Vec<PathBuf>,
    /// The user's environment variables; a program gets those that its grant names, and no other.
    pub environment: BTreeMap<String, String>,
    /// The selected cluster, once it is known.
    pub cluster: Option<Client>,
    /// Connects from inside it, where pods may be made.
    pub relay: Option<Arc<Relay>>,
    /// Keeps secret values on this side.
    pub vault: Arc<dyn SecretBoundary>,
    /// Value path of the secret that the component's option `secret` names; what `$secret` in a grant stands for.
    pub secret: Option<String>,
}

impl fmt::Debug for World {
    // The environment may hold credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("World")
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
    /// When a token or placeholder stands outside a Secret.
    fn substitute(&self, object: Object) -> Result<Object, wit::Error>;
    /// Blanks every secret value in a text.
    fn redact(&self, text: &str) -> String;
    /// The same for what the app printed or answered, where its Secrets' values may be that the user did not give.
    fn redact_output(&self, text: &str) -> String;
    /// Host and port named inside the secret at a value path.
    fn connect_host(&self, secret: &str) -> Option<(String, u16)>;
}

/// The boundary where there are no secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl SecretBoundary for NoSecrets {
    fn tokenise(&self, mut object: Object) -> Object {
        // Without a vault there is no key to make tokens with: nothing of a Secret is shown.
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
