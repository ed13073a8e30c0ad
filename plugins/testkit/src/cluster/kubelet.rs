//! The kubelet of a scripted node: logs of pods and usage of their containers.
//!
//! Owns the answers that depend on the behaviour of a pod. Changing pods is the task of `controller` and `completion`.

use hyper::Response;
use serde_json::{Value, json};

use super::server::{Body, raw};
use super::store::{Failure, Key};
use super::{Behaviour, State, completion};

/// The name under which the pod's behaviour is scripted: its Job, its own name, or the Deployment in its generated name.
fn script_of(pod: &Value) -> String {
    if let Some(name) = completion::script_of(pod) {
        return name.to_owned();
    }
    let set = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
    set.rsplit_once('-').map_or(set, |(deployment, _)| deployment).to_owned()
}

pub(super) fn logs(state: &State, key: &Key) -> Result<Response<Body>, Failure> {
    let Some(pod) = state.store().get(key).cloned() else {
        return Err(Failure::new(404, "NotFound", format!("pods \"{}\" not found", key.name)));
    };
    match state.behaviour(&script_of(&pod), &pod) {
        Behaviour::Waiting { reason, .. } => Err(Failure::new(
            400,
            "BadRequest",
            format!("container in pod \"{}\" is waiting to start: {reason}", key.name),
        )),
        Behaviour::Exits { log, .. } => Ok(raw(200, "text/plain", log)),
        _ => Ok(raw(200, "text/plain", String::new())),
    }
}

/// The kubelet's summary of a node, with what its pods use by their behaviours.
pub(super) fn summary(state: &State, node: &str) -> Value {
    let on_node: Vec<Value> = {
        let store = state.store();
        store.list("pods", "").filter(|pod| pod["spec"]["nodeName"] == node).cloned().collect()
    };
    let pods: Vec<Value> = on_node
        .iter()
        .map(|pod| {
            let used = match state.behaviour(&script_of(pod), pod) {
                Behaviour::OutOfMemory { used } => used,
                _ => 0,
            };
            let metadata = &pod["metadata"];
            json!({
                "podRef": {
                    "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                },
                "containers": [{
                    "name": pod["spec"]["containers"][0]["name"],
                    "cpu": { "usageNanoCores": 0 }, "memory": { "workingSetBytes": used },
                }],
            })
        })
        .collect();
    json!({ "node": { "nodeName": node }, "pods": pods })
}
