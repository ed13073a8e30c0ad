//! Kubeconfigs: which contexts there are, and a client made from one of them.

use std::path::PathBuf;

use super::{Client, ClusterError, Timeouts};

/// Where a client comes from.
#[derive(Clone)]
pub enum Connection {
    /// A context of the user's kubeconfig.
    Context(String),
    /// The text of a kubeconfig, whose current context is used. It may hold keys: never shown.
    Kubeconfig(String),
}

/// A context of the user's kubeconfig; nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ContextInfo {
    /// Name of the context.
    pub name: String,
    /// Name of the cluster in it.
    pub cluster: String,
    /// The API server's address.
    pub server: String,
    /// It is the current one.
    pub current: bool,
}

/// The contexts of the kubeconfig files, in the files' order; no file at all gives none.
///
/// # Errors
/// `BadKubeconfig` where a file exists but cannot be read.
pub fn contexts(files: &[PathBuf]) -> Result<Vec<ContextInfo>, ClusterError> {
    let _ = files;
    todo!()
}

impl Client {
    /// Connects and asks for the version, so that a client in hand is a cluster that answered.
    /// `files` are those of `KUBECONFIG`, else `~/.kube/config`.
    ///
    /// # Errors
    /// No kubeconfig, context missing, unreachable, unauthorised: each its own variant.
    pub async fn connect(
        connection: &Connection,
        files: &[PathBuf],
        timeouts: Timeouts,
    ) -> Result<Self, ClusterError> {
        let _ = (connection, files, timeouts);
        todo!()
    }
}
