//! The selected cluster. Secret data comes as tokens, never as values.

use crate::bindings::host::todohost::plugin::{cluster_read as read, cluster_write as write};
use crate::{ObjectRef, Result};
use serde_json::Value;
use std::time::Duration;

pub use read::Query;

/// An object, if it is there. Needs `cluster-read` for its kind and namespace.
///
/// # Errors
/// When not granted, or when the API server does not answer.
pub fn get(object: &ObjectRef) -> Result<Option<Value>> {
    read::get(object)?.map(|text| Ok(serde_json::from_str(&text)?)).transpose()
}

/// Objects of a kind. Needs `cluster-read` for the kind and the namespace.
///
/// # Errors
/// When not granted, or when the API server does not answer.
pub fn list(query: &Query) -> Result<Vec<Value>> {
    read::list(query)?.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// The last lines of a container's log. Needs `cluster-read` for `v1/Pod`.
///
/// # Errors
/// When not granted, or when there is no log.
pub fn logs(pod: &ObjectRef, container: Option<&str>, previous: bool, tail: u32) -> Result<String> {
    read::logs(pod, container, previous, tail)
}

/// A GET through the API server to a port of a Service or a Pod. Needs `cluster-read` for that object.
///
/// # Errors
/// When not granted, or when nothing answers in time.
pub fn http_get(
    object: &ObjectRef,
    port: u16,
    path: &str,
    timeout: Duration,
) -> Result<(u16, Vec<u8>)> {
    read::http_get(object, port, path, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX))
}

/// The kubelet's summary of a node. Needs `cluster-read` for `v1/Node`.
///
/// # Errors
/// When not granted, or when the node does not answer.
pub fn node_summary(node: &str) -> Result<Value> {
    Ok(serde_json::from_str(&read::node_summary(node)?)?)
}

/// Whether the user may do this. Needs any `cluster-read`.
///
/// # Errors
/// When the API server does not answer.
pub fn can_i(verb: &str, api_version: &str, kind: &str, namespace: Option<&str>) -> Result<bool> {
    read::can_i(verb, api_version, kind, namespace)
}

/// Applies objects server-side. Needs `cluster-write`, which is rarely granted: steps decide, the host acts.
pub fn apply(manifests: &[Value], force: bool, dry_run: bool) -> Vec<Result<Value>> {
    let manifests: Vec<_> = manifests.iter().map(Value::to_string).collect();
    let results = write::apply(&manifests, force, dry_run);
    results.into_iter().map(|result| Ok(serde_json::from_str(&result?)?)).collect()
}

/// Deletes an object. Needs `cluster-write`.
///
/// # Errors
/// When not granted, or when the object's uid is another one.
pub fn delete(object: &ObjectRef, propagation: Option<&str>, uid: Option<&str>) -> Result<()> {
    write::delete(object, propagation, uid)
}
