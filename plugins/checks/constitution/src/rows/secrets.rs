//! Secrets of what runs: in Secret objects and nowhere else.
//!
//! Findings name variables and keys, never values. That declared secrets come into no other object is the host's own
//! invariant; here it is what nobody declared.

use crate::judgement::Judgement;
use crate::place::Place;
use crate::project::FILE;
use crate::release::{Container, Release};
use crate::sensitive;
use serde_json::Value;

/// No object but a Secret holds a secret, and what the project declares as secret comes into one.
pub fn placed(release: &Release) -> Judgement {
    let mut judgement = Judgement::unless("the release runs no containers");
    let mut refers = false;
    for workload in release.workloads() {
        for container in workload.all_containers() {
            let mut is_clean = true;
            let mut fault = |pointer: String, message: String| {
                is_clean = false;
                judgement.fault(&release.place(workload.object, pointer), message);
            };
            for (name, value, pointer) in container.variables() {
                if sensitive::variable(name, value) {
                    fault(
                        pointer,
                        format!("{name} of {} holds a secret as plain text", container.name()),
                    );
                }
            }
            for key in ["command", "args"] {
                let words = container.value[key].as_array().map(Vec::as_slice).unwrap_or_default();
                if words.iter().filter_map(Value::as_str).any(sensitive::address) {
                    let message =
                        format!("{key} of {} has an address with a password", container.name());
                    fault(format!("{}/{key}", container.pointer), message);
                }
            }
            let referred = references(&container);
            refers |= !referred.is_empty() || mounts(workload.pod());
            if is_clean {
                let said = match referred.as_slice() {
                    [] => "no variable holds a secret".to_owned(),
                    referred => referred.join(", "),
                };
                let place = release.place(workload.object, format!("{}/env", container.pointer));
                judgement.evidence(&place, said);
            }
        }
    }
    for map in release.of_kind("ConfigMap") {
        for (key, value) in map["data"].as_object().into_iter().flatten() {
            if value.as_str().is_some_and(|value| sensitive::variable(key, value)) {
                let pointer = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
                judgement.fault(
                    &release.place(map, pointer),
                    format!("{key} holds a secret as plain text"),
                );
            }
        }
    }
    let has_secret = refers || release.of_kind("Secret").next().is_some();
    if !has_secret && !release.declared.secrets.is_empty() {
        let place = Place::value(FILE, "/secrets".to_owned());
        judgement.fault(
            &place,
            "secrets are declared, and no object of the release holds or reads a Secret",
        );
    }
    judgement
}

/// What a container reads from Secrets.
fn references(container: &Container<'_>) -> Vec<String> {
    let list = |key: &str| container.value[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let single = list("env").iter().filter_map(|item| {
        let secret = item["valueFrom"]["secretKeyRef"]["name"].as_str()?;
        Some(format!("{} from Secret/{secret}", item["name"].as_str()?))
    });
    let whole = list("envFrom")
        .iter()
        .filter_map(|item| Some(format!("all of Secret/{}", item["secretRef"]["name"].as_str()?)));
    single.chain(whole).collect()
}

/// Whether a pod mounts a Secret.
fn mounts(pod: &Value) -> bool {
    let volumes = pod["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
    volumes.iter().any(|volume| {
        let projected = volume["projected"]["sources"].as_array().map(Vec::as_slice);
        volume["secret"].is_object()
            || projected.unwrap_or_default().iter().any(|source| source["secret"].is_object())
    })
}
