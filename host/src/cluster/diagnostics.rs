//! What else the API server can be asked: logs, probes, node figures, permissions.

use std::time::Duration;

use super::{Client, ClusterError};
use crate::object::{Object, ObjectRef};

/// Which lines of a container to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod.
    pub pod: ObjectRef,
    /// Needed where the pod has several.
    pub container: Option<String>,
    /// Of the run before the last restart.
    pub previous: bool,
    /// The last so many lines.
    pub tail_lines: u32,
}

/// What a Service or Pod answered through the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, cut at 1 MiB.
    pub body: Vec<u8>,
}

impl Client {
    /// The last lines of a container, at most 1 MiB.
    ///
    /// # Errors
    /// Where the container never started, or the cluster cannot be asked.
    pub async fn logs(&self, request: &LogRequest) -> Result<String, ClusterError> {
        let _ = request;
        todo!()
    }

    /// GET through the API server to a Service or Pod port.
    ///
    /// # Errors
    /// Where the API server cannot be asked; an answer with an error status is an answer.
    pub async fn http_get(
        &self,
        object: &ObjectRef,
        port: u16,
        path: &str,
        timeout: Duration,
    ) -> Result<HttpAnswer, ClusterError> {
        let _ = (object, port, path, timeout);
        todo!()
    }

    /// The kubelet's summary of a node.
    ///
    /// # Errors
    /// Where the node is unknown or cannot be asked.
    pub async fn node_summary(&self, node: &str) -> Result<Object, ClusterError> {
        let _ = node;
        todo!()
    }

    /// Is the user allowed?
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn can_i(
        &self,
        verb: &str,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<bool, ClusterError> {
        let _ = (verb, api_version, kind, namespace);
        todo!()
    }
}
