//! The row about secrets in rendered objects: only Secret objects may contain them.
//!
//! Findings name variables and keys, never values. The host itself keeps declared secrets out of other objects; this
//! row finds undeclared ones.

use crate::judgement::Judgement;
use crate::location::Location;
use crate::project::FILE;
use crate::release::{Container, Release};
use crate::sensitive;
use serde_json::Value;

/// Only Secrets contain secret values, and the release uses a Secret if the project declares secrets.
pub fn placed(release: &Release) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the release runs no containers");
    let mut uses_secret = false;
    for workload in release.workloads() {
        for container in workload.all_containers() {
            let mut is_clean = true;
            let mut fault = |pointer: String, message: String| {
                is_clean = false;
                judgement.fault(&release.location(workload.object, pointer), message);
            };
            for (name, value, pointer) in container.variables() {
                if sensitive::variable(name, value) {
                    fault(
                        pointer,
                        format!("{name} of {} contains a secret in plain text", container.name()),
                    );
                }
            }
            for key in ["command", "args"] {
                let words = container.value[key].as_array().map(Vec::as_slice).unwrap_or_default();
                if words.iter().filter_map(Value::as_str).any(sensitive::address) {
                    let message =
                        format!("{key} of {} contains a URL with a password", container.name());
                    fault(format!("{}/{key}", container.pointer), message);
                }
            }
            let references = references(&container);
            uses_secret |= !references.is_empty() || mounts(workload.pod());
            if is_clean {
                let message = match references.as_slice() {
                    [] => "no variable contains a secret".to_owned(),
                    references => references.join(", "),
                };
                let location =
                    release.location(workload.object, format!("{}/env", container.pointer));
                judgement.evidence(&location, message);
            }
        }
    }
    for map in release.of_kind("ConfigMap") {
        for (key, value) in map["data"].as_object().into_iter().flatten() {
            if value.as_str().is_some_and(|value| sensitive::variable(key, value)) {
                let pointer = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
                judgement.fault(
                    &release.location(map, pointer),
                    format!("{key} contains a secret in plain text"),
                );
            }
        }
    }
    let has_secret = uses_secret || release.of_kind("Secret").next().is_some();
    if !has_secret && !release.declared.secrets.is_empty() {
        let location = Location::value(FILE, "/secrets".to_owned());
        judgement.fault(
            &location,
            "todohost.toml declares secrets, but the release contains and uses no Secret",
        );
    }
    judgement
}

/// The Secrets that a container reads, one text for each variable or whole Secret.
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
