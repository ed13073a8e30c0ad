//! The Kubernetes API server as the host speaks with it.
//!
//! Owns connecting, discovery of kinds, reading, server-side apply, deleting, watching, and streams to
//! pods and through them, with their deadlines and retries. Components decide which objects are applied, and
//! when they are healthy.
//! Dropping a future of this module cancels its request; retries have a bound, so every call ends.

mod connection;
mod diagnostics;
mod discovery;
mod error;
mod forward;
mod managed_fields;
mod objects;
mod relay;
mod transport;
mod watch;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use connection::{Connection, ContextInfo, contexts};
pub use diagnostics::{ContainerUsage, HttpAnswer, LogRequest};
pub use discovery::Kind;
pub use error::{ClusterError, FieldConflict, Unreachable};
pub use forward::{Backend, Pods};
pub use objects::{Applied, ApplyOptions, Query};
pub use relay::{PodStream, Relay, RelayError};
pub use watch::{Snapshot, Watch};

pub use discovery::reference;
pub use forward::service_ref;
pub use managed_fields::is_unmigrated;
pub use objects::{comparable, namespace_ref};

/// The field manager of everything that the host applies; stock Helm 4 uses the same name, so that
/// either may upgrade the other's releases.
pub const FIELD_MANAGER: &str = "helm";

/// Requests that may be under way at the same time on one client.
const PARALLEL_REQUESTS: usize = 64;

/// How long the client waits before it calls the API server unreachable.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the connection to open.
    pub connect: Duration,
    /// For one request to be answered in full.
    pub request: Duration,
    /// For one call with all its retries.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            call: Duration::from_mins(1),
        }
    }
}

/// The API server's version.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// E.g. `v1.35.4`.
    pub git_version: String,
    /// E.g. `1`.
    pub major: String,
    /// E.g. `35`; some distributions append a `+`.
    pub minor: String,
}

impl Timeouts {
    /// For the cleanup after a stop, while the user waits.
    pub const BRIEF: Self = Self {
        connect: Duration::from_secs(2),
        request: Duration::from_secs(5),
        call: Duration::from_secs(10),
    };
}

/// A connection to one cluster. Cheap to clone; clones share connections and discovery.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    timeouts: Timeouts,
    /// Calls are given up after it.
    stop: Option<CancellationToken>,
}

struct Shared {
    http: kube::Client,
    context: String,
    server: String,
    version: OnceLock<Version>,
    discovery: discovery::Discovery,
    requests: tokio::sync::Semaphore,
    /// When a connection was last refused or broken off.
    lost: Mutex<Option<Instant>>,
}

impl Client {
    /// The context that it was made from; for a kubeconfig given as text, that one's current context.
    pub fn context(&self) -> &str {
        &self.shared.context
    }

    /// The same connection, whose calls end with `Stopped` soon after `stop`.
    #[must_use]
    pub fn with_cancel(&self, stop: CancellationToken) -> Self {
        Self { stop: Some(stop), ..self.clone() }
    }

    /// The same connection for requests that a stop must not cancel, with these deadlines.
    #[must_use]
    pub fn without_cancel(&self, timeouts: Timeouts) -> Self {
        Self { stop: None, timeouts, ..self.clone() }
    }

    /// Cancels its calls; never cancelled unless set.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone().unwrap_or_default()
    }

    /// Whether the API server answers at all.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn answers(&self) -> Result<(), ClusterError> {
        self.ask_version().await.map(drop)
    }

    /// The API server's version, read when the connection was made.
    pub fn version(&self) -> &Version {
        self.shared.version.get_or_init(Version::default)
    }
}
