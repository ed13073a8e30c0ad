//! The way to the pods behind a Service: which of them are ready, and a stream to a port of one.
//!
//! Owns following the pods and opening streams through the API server. The callers own
//! the use of a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::Api;
use kube::client::UpgradeConnectionError;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::Cause;
use super::watch::{Pauses, WATCH_SECONDS};
use super::{Client, ClusterError};
use todohost_model::object::{Object, ObjectRef};

/// A ready pod behind a Service, with the port that it listens at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// Name of the pod.
    pub pod: String,
    pub port: u16,
    /// A part of its name is random: no other cluster has a pod of this name.
    pub is_unique: bool,
}

/// The pods of a namespace, as they come and go.
pub struct Pods {
    ready: watch::Receiver<BTreeMap<String, Pod>>,
    follower: JoinHandle<()>,
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Pods {
    /// Waits for a ready pod behind a port of a Service that is not in `without`, and returns all ready ones; `None` if there
    /// was none in this time.
    pub async fn behind(
        &self,
        service: &Object,
        port: u16,
        without: &[String],
        limit: Duration,
    ) -> Option<Vec<Backend>> {
        let mut ready = self.ready.clone();
        let found = |pods: &BTreeMap<String, Pod>| {
            let backends = pods.values().filter_map(|pod| backend(service, port, pod));
            backends.filter(|one| !without.contains(&one.pod)).collect::<Vec<_>>()
        };
        let pods =
            timeout(limit, ready.wait_for(|pods| !found(pods).is_empty())).await.ok()?.ok()?;
        Some(found(&pods))
    }
}

impl Client {
    /// Follows the pods of a namespace until the result is dropped.
    pub fn pods(&self, namespace: &str) -> Pods {
        let pods: Api<Pod> = Api::namespaced(self.shared.http.clone(), namespace);
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = watcher(pods, config).backoff(Pauses::default()).boxed();
        let (tell, ready) = watch::channel(BTreeMap::new());
        let follower = tokio::spawn(async move {
            let mut arriving = BTreeMap::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Init) => arriving.clear(),
                    Ok(Event::InitApply(pod)) => drop(arriving.insert(name_of(&pod), pod)),
                    Ok(Event::InitDone) => drop(tell.send_replace(std::mem::take(&mut arriving))),
                    Ok(Event::Apply(pod)) => {
                        tell.send_modify(|pods| drop(pods.insert(name_of(&pod), pod)));
                    }
                    Ok(Event::Delete(pod)) => {
                        tell.send_modify(|pods| drop(pods.remove(&name_of(&pod))));
                    }
                    // Keep the known pods until the watch is open again.
                    Err(_) => {}
                }
            }
        });
        Pods { ready, follower }
    }

    /// A stream to a port of a pod, through the API server.
    ///
    /// # Errors
    /// If the pod is gone, the user is not allowed to connect, or the cluster does not answer.
    pub async fn open_port(
        &self,
        namespace: &str,
        backend: &Backend,
    ) -> Result<DuplexStream, ClusterError> {
        let Backend { pod, port, .. } = backend;
        let action = format!("forward to port {port} of Pod/{pod}");
        let pods: Api<Pod> = Api::namespaced(self.shared.http.clone(), namespace);
        let limit = self.timeouts.request;
        let Ok(opened) = timeout(limit, pods.portforward(pod, &[*port])).await else {
            return Err(ClusterError::Timeout { action, limit });
        };
        let mut forwarder = opened.map_err(|error| self.upgrade_refused(&error, action.clone()))?;
        // The task ends when both sides of the stream are closed.
        forwarder.take_stream(*port).ok_or_else(|| ClusterError::Refused {
            action,
            message: "the stream has no such port".to_owned(),
            status: 500,
        })
    }

    /// The error of a stream that was not opened.
    pub(super) fn upgrade_refused(&self, error: &kube::Error, action: String) -> ClusterError {
        let (status, message) = match error {
            kube::Error::Api(answer) => (answer.code, answer.message.clone()),
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
                (status.as_u16(), format!("HTTP status {status}"))
            }
            error => return self.unreachable(error),
        };
        match status {
            401 | 403 => ClusterError::Forbidden { action, cause: Cause::new(message) },
            status => ClusterError::Refused { action, message, status },
        }
    }

    /// A Service as it is now.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn service(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        self.get(&service_ref(namespace, name)).await
    }
}

/// Reference of a Service in a namespace.
pub fn service_ref(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

fn name_of(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// The pod's port for a port of a Service; `None` if the pod is not ready, terminating, or not selected.
fn backend(service: &Object, port: u16, pod: &Pod) -> Option<Backend> {
    let selector = service.pointer("/spec/selector")?.as_object().filter(|it| !it.is_empty())?;
    let labels = pod.metadata.labels.as_ref()?;
    let is_selected = selector
        .iter()
        .all(|(name, value)| labels.get(name).is_some_and(|label| *value == label.as_str()));
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let is_ready = conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True");
    if !is_selected || !is_ready || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ports = service.pointer("/spec/ports")?.as_array()?;
    let wanted = ports.iter().find(|one| one["port"] == port)?;
    let port = match serde_json::from_value(wanted["targetPort"].clone()) {
        Ok(IntOrString::Int(number)) => u16::try_from(number).ok()?,
        Ok(IntOrString::String(name)) => named_port(pod, &name)?,
        Err(_) if wanted["targetPort"] == Value::Null => port,
        Err(_) => return None,
    };
    Some(Backend { pod: name_of(pod), port, is_unique: is_unique(pod) })
}

/// Pods of stateful sets are numbered, and pods without an owner are named by hand.
fn is_unique(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| matches!(owner.kind.as_str(), "ReplicaSet" | "DaemonSet"))
}

fn named_port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = &pod.spec.as_ref()?.containers;
    let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(target_port: &Value) -> Object {
        json!({ "spec": { "selector": { "app": "web" }, "ports": [
            { "port": 9090, "targetPort": 9 }, { "port": 80, "targetPort": target_port },
        ] } })
    }

    fn pod(app: &str, ready: &str) -> Pod {
        let document = json!({
            "metadata": { "name": "web-1", "labels": { "app": app } },
            "spec": { "containers": [
                { "name": "side" },
                { "name": "web", "ports": [{ "name": "http", "containerPort": 8000 }] },
            ] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn ports_are_found_by_number_by_name_and_by_default() {
        let port = |target: &Value| {
            backend(&service(target), 80, &pod("web", "True")).map(|backend| backend.port)
        };
        assert_eq!(port(&json!(8080)), Some(8080));
        assert_eq!(port(&json!("http")), Some(8000));
        assert_eq!(port(&json!(null)), Some(80));
        assert_eq!(port(&json!("metrics")), None);
        assert_eq!(backend(&service(&json!(1)), 81, &pod("web", "True")), None);
    }

    #[test]
    fn only_generated_names_are_unique() {
        let owned = |kind: &str| {
            let mut pod = pod("web", "True");
            let owner =
                json!([{ "apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": "1" }]);
            pod.metadata.owner_references = serde_json::from_value(owner).unwrap();
            backend(&service(&json!("http")), 80, &pod).unwrap().is_unique
        };
        assert!(owned("ReplicaSet"));
        assert!(!owned("StatefulSet"));
        assert!(!backend(&service(&json!(1)), 80, &pod("web", "True")).unwrap().is_unique);
    }

    #[test]
    fn only_ready_pods_that_stay_and_are_selected_are_behind_it() {
        let service = service(&json!("http"));
        let is_behind = |service: &Object, pod: &Pod| backend(service, 80, pod).is_some();
        assert!(is_behind(&service, &pod("web", "True")));
        assert!(!is_behind(&service, &pod("web", "False")));
        assert!(!is_behind(&service, &pod("api", "True")));
        let mut going = pod("web", "True");
        going.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-11-21T05:00:00Z")).unwrap();
        assert!(!is_behind(&service, &going));
        // A Service without a selector has no pods of its own.
        let bare = json!({ "spec": { "ports": [{ "port": 80 }] } });
        assert!(!is_behind(&bare, &pod("web", "True")));
    }
}
