//! Jobs with one pod each, and pods without an owner.
//!
//! Sets their statuses. They succeed unless the script has another behaviour, and are not retried.

use serde_json::{Value, json};

use super::State;
use super::controller::{Behaviour, STEP, condition, ended, owner, report, unready, write};
use super::exec;
use super::store::{Key, now};

/// Creates the pod of a Job, runs it, and completes the Job.
pub(super) async fn run_job(state: State, key: Key) {
    let Some(pod) = begin(&state, &key) else { return };
    let Some(has_succeeded) = run(&state, &pod, &key.name).await else { return };
    let mut done = condition(if has_succeeded { "Complete" } else { "Failed" }, "True", "");
    if !has_succeeded {
        done["reason"] = json!("BackoffLimitExceeded");
        done["message"] = json!("Job has reached the specified backoff limit");
    }
    let count = if has_succeeded { "succeeded" } else { "failed" };
    let status = json!({ count: 1, "startTime": now(), "conditions": [done] });
    state.store().set_status(&key, &status);
}

/// Runs a pod without an owner.
pub(super) async fn run_pod(state: State, key: Key) {
    let name = key.name.clone();
    run(&state, &key, &name).await;
}

/// Name by which the script has the behaviour of a pod: that of its Job, or its own without an owner. `None` for pods
/// of other owners, which keep running.
pub(super) fn script_of(pod: &Value) -> Option<&str> {
    match pod["metadata"]["ownerReferences"].get(0) {
        Some(owner) if owner["kind"] == "Job" => owner["name"].as_str(),
        Some(_) => None,
        None => pod["metadata"]["name"].as_str(),
    }
}

fn begin(state: &State, key: &Key) -> Option<Key> {
    let mut store = state.store();
    let job = store.get(key)?.clone();
    if !job["status"].is_null() {
        return None;
    }
    store.set_status(key, &json!({ "active": 1, "startTime": now() }));
    let template = &job["spec"]["template"];
    let name = format!("{}-{}", key.name, store.suffix());
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": key.namespace, "labels": { "job-name": key.name },
            "ownerReferences": owner(&job),
        },
        "spec": template["spec"],
    });
    write(&mut store, &pod)
}

/// Reports whether the pod succeeded; `None` if it does not end.
async fn run(state: &State, pod: &Key, script: &str) -> Option<bool> {
    let object = state.store().get(pod)?.clone();
    if !object["status"].is_null() {
        return None;
    }
    let behaviour = state.behaviour(script, &object);
    let running = json!({ "running": { "startedAt": now() } });
    status(state, pod, "Running", &running);
    if exec::sleeps(&object) {
        return None;
    }
    tokio::time::sleep(STEP).await;
    let code = match behaviour {
        Behaviour::Ready => 0,
        Behaviour::Exits { code, .. } => code,
        _ => return None,
    };
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    status(state, pod, phase, &ended(reason, code));
    report(state, pod, "Ended", &format!("Container ended with exit code {code}"));
    Some(code == 0)
}

fn status(state: &State, pod: &Key, phase: &str, container_state: &Value) {
    let mut store = state.store();
    let Some(object) = store.get(pod).cloned() else { return };
    let containers = object["spec"]["containers"].as_array().into_iter().flatten();
    let containers: Vec<Value> =
        containers.map(|container| unready(container, container_state, 0)).collect();
    store.set_status(pod, &json!({ "phase": phase, "containerStatuses": containers }));
}
