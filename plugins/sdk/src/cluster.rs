//! Access to the selected cluster. Plugins receive tokens in place of the data of Secrets.
//!
//! ```no_run
//! use todohost_plugin::{ObjectRef, Result, cluster};
//!
//! /// Needs the grant `cluster-read` for `apps/v1/Deployment` in this namespace.
//! fn ready_replicas(namespace: &str, name: &str) -> Result<u64> {
//!     let deployment = ObjectRef {
//!         api_version: "apps/v1".into(),
//!         kind: "Deployment".into(),
//!         namespace: Some(namespace.into()),
//!         name: name.into(),
//!     };
//!     let live = cluster::get(&deployment)?.unwrap_or_default();
//!     Ok(live["status"]["readyReplicas"].as_u64().unwrap_or(0))
//! }
//! ```

use crate::bindings::host::todohost::plugin::{cluster_read as read, cluster_write as write};
use crate::{ObjectRef, Result};
use serde_json::Value;
use std::time::Duration;

pub use read::Query;

/// Gets an object, or `None` if it does not exist. Needs the grant `cluster-read` for its kind and namespace.
///
/// # Errors
/// Fails without the grant, and if the API server does not answer.
pub fn get(object: &ObjectRef) -> Result<Option<Value>> {
    read::get(object)?.map(|text| Ok(serde_json::from_str(&text)?)).transpose()
}

/// Lists the objects of a kind. Needs the grant `cluster-read` for the kind and the namespace.
///
/// # Errors
/// Fails without the grant, and if the API server does not answer.
pub fn list(query: &Query) -> Result<Vec<Value>> {
    read::list(query)?.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// Reads the last `tail` lines of a container's log; with `previous`, of the instance before its last restart. Needs
/// the grant `cluster-read` for `v1/Pod`.
///
/// # Errors
/// Fails without the grant, and if the container has no log.
pub fn logs(pod: &ObjectRef, container: Option<&str>, previous: bool, tail: u32) -> Result<String> {
    read::logs(pod, container, previous, tail)
}

/// Sends a GET request through the API server to a port of a Service or Pod, and returns the status and the body. Needs
/// the grant `cluster-read` for that object.
///
/// # Errors
/// Fails without the grant, and if no response arrives within the timeout.
pub fn http_get(
    object: &ObjectRef,
    port: u16,
    path: &str,
    timeout: Duration,
) -> Result<(u16, Vec<u8>)> {
    read::http_get(object, port, path, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX))
}

/// Reads a node's stats summary from its kubelet. Needs the grant `cluster-read` for `v1/Node`.
///
/// # Errors
/// Fails without the grant, and if the node does not answer.
pub fn node_summary(node: &str) -> Result<Value> {
    Ok(serde_json::from_str(&read::node_summary(node)?)?)
}

/// Reports whether the user is allowed to use `verb` on this kind of object, by a `SelfSubjectAccessReview`. Needs any
/// grant of `cluster-read`.
///
/// # Errors
/// Fails if the API server does not answer.
pub fn can_i(verb: &str, api_version: &str, kind: &str, namespace: Option<&str>) -> Result<bool> {
    read::can_i(verb, api_version, kind, namespace)
}

/// Applies objects server-side, and returns one result per object. Needs the grant `cluster-write`, which plugins
/// rarely need: steps decide, the host acts.
pub fn apply(manifests: &[Value], force: bool, dry_run: bool) -> Vec<Result<Value>> {
    let manifests: Vec<_> = manifests.iter().map(Value::to_string).collect();
    let results = write::apply(&manifests, force, dry_run);
    results.into_iter().map(|result| Ok(serde_json::from_str(&result?)?)).collect()
}

/// Deletes an object. Needs the grant `cluster-write`.
///
/// # Errors
/// Fails without the grant, and if the object's uid differs from `uid`.
pub fn delete(object: &ObjectRef, propagation: Option<&str>, uid: Option<&str>) -> Result<()> {
    write::delete(object, propagation, uid)
}
