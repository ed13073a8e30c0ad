//! The row about Services: their types, selectors and target ports.

use crate::judgement::Judgement;
use crate::release::{Container, Release, Workload};
use serde_json::Value;

const TYPES: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

/// Each Service matches a container, and a Service that other parts of the release call is not exposed instead of them.
pub fn types(release: &Release) -> Judgement {
    let mut judgement =
        Judgement::or_not_judged("the release has no Service, and no container listens on a port");
    for service in release.of_kind("Service") {
        let location = |field: &str| release.location(service, format!("/spec/{field}"));
        let kind = kind(service);
        if !TYPES.contains(&kind) {
            judgement.fault(&location("type"), format!("{kind} is not a Service type"));
        } else if let Some(caller) = needless(release, service) {
            let why = if is_exposed(caller) {
                format!("only {} calls it", name(caller))
            } else {
                format!("its caller {} is not exposed", name(caller))
            };
            let message = format!("{kind} exposes it outside the cluster, but {why}");
            judgement.fault(&location("type"), message);
        } else if let Some((field, message)) = mismatch(release, service) {
            judgement.fault(&location(&field), message);
        } else {
            judgement.evidence(&location("type"), kind);
        }
    }
    if release.of_kind("Service").next().is_none() {
        for workload in release.workloads().filter(Workload::is_long_running) {
            if let Some(container) = workload.containers().find(Container::listens) {
                let location =
                    release.location(workload.object, format!("{}/ports", container.pointer));
                judgement.fault(
                    &location,
                    format!(
                        "{} listens on a port, but the release has no Service",
                        container.name()
                    ),
                );
            }
        }
    }
    judgement
}

fn kind(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

fn name(service: &Value) -> &str {
    service["metadata"]["name"].as_str().unwrap_or("?")
}

fn is_exposed(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
}

/// The workloads that a Service selects.
fn selected<'a>(release: &'a Release, service: &'a Value) -> impl Iterator<Item = Workload<'a>> {
    release.workloads().filter(|workload| workload.is_selected(&service["spec"]["selector"]))
}

/// The Service of a workload that calls this exposed Service: then users open the caller, and this Service need not be
/// exposed. An exposed caller is preferred over one that is not.
fn needless<'a>(release: &'a Release, service: &Value) -> Option<&'a Value> {
    if !is_exposed(service) {
        return None;
    }
    let called = name(service);
    let callers = release.of_kind("Service").filter(|other| {
        name(other) != called
            && selected(release, other).any(|workload| {
                !workload.is_selected(&service["spec"]["selector"]) && calls(&workload, called)
            })
    });
    callers.max_by_key(|other| is_exposed(other))
}

/// Whether a variable of the pod names a Service as an address: `http://api:80`, `api:80`.
fn calls(workload: &Workload<'_>, service: &str) -> bool {
    let is_host = |text: &str| {
        let Some(rest) = text.strip_prefix(service) else { return false };
        rest.is_empty() || rest.starts_with([':', '/', '.'])
    };
    workload.all_containers().any(|container| {
        container.variables().any(|(_, value, _)| match value.split_once("://") {
            Some((_, rest)) => is_host(rest.rsplit('@').next().unwrap_or(rest)),
            None => value.contains(':') && is_host(value),
        })
    })
}

/// The field of a Service that matches no container, and why.
fn mismatch(release: &Release, service: &Value) -> Option<(String, String)> {
    service["spec"]["selector"].as_object().filter(|selector| !selector.is_empty())?;
    let workloads: Vec<Workload<'_>> = selected(release, service).collect();
    if workloads.is_empty() {
        return Some((
            "selector".to_owned(),
            "its selector matches no pod of the release".to_owned(),
        ));
    }
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    ports.iter().enumerate().find_map(|(index, port)| {
        let wanted = port["targetPort"].as_str()?;
        let found = workloads.iter().any(|workload| {
            workload
                .containers()
                .any(|container| container.ports().iter().any(|port| port["name"] == *wanted))
        });
        let message = format!("no selected container has a port named {wanted}");
        (!found).then(|| (format!("ports/{index}/targetPort"), message))
    })
}
