//! How containers are reached: from inside of the cluster, or from outside.

use crate::judgement::Judgement;
use crate::release::{Container, Release, Workload};
use serde_json::Value;

const TYPES: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

/// Each Service leads to a container, and what other parts of the release call is not open to the outside in their place.
pub fn types(release: &Release) -> Judgement {
    let mut judgement =
        Judgement::unless("no container of the release listens, and nothing leads to one");
    for service in release.of_kind("Service") {
        let place = |field: &str| release.place(service, format!("/spec/{field}"));
        let kind = kind(service);
        if !TYPES.contains(&kind) {
            judgement.fault(&place("type"), format!("{kind} is no type of a Service"));
        } else if let Some(caller) = needless(release, service) {
            let why = if is_exposed(caller) {
                format!("and only {} calls it", name(caller))
            } else {
                format!("and {}, which calls it, is not open", name(caller))
            };
            judgement.fault(&place("type"), format!("{kind} opens it to the outside, {why}"));
        } else if let Some((field, message)) = lost(release, service) {
            judgement.fault(&place(&field), message);
        } else {
            judgement.evidence(&place("type"), kind);
        }
    }
    if release.of_kind("Service").next().is_none() {
        for workload in release.workloads().filter(Workload::stays) {
            if let Some(container) = workload.containers().find(Container::listens) {
                let place = release.place(workload.object, format!("{}/ports", container.pointer));
                judgement.fault(
                    &place,
                    format!("{} listens, and no Service leads there", container.name()),
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

/// Pods that a Service leads to.
fn selected<'a>(release: &'a Release, service: &'a Value) -> impl Iterator<Item = Workload<'a>> {
    release.workloads().filter(|workload| workload.is_selected(&service["spec"]["selector"]))
}

/// The Service of a caller of this one, which is exposed without need then: people open the caller. One that is exposed
/// itself tells more than one that is not.
fn needless<'a>(release: &'a Release, service: &Value) -> Option<&'a Value> {
    if !is_exposed(service) {
        return None;
    }
    let called = name(service);
    let of_callers = release.of_kind("Service").filter(|other| {
        name(other) != called
            && selected(release, other).any(|workload| {
                !workload.is_selected(&service["spec"]["selector"]) && calls(&workload, called)
            })
    });
    of_callers.max_by_key(|other| is_exposed(other))
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

/// Where a Service leads to nothing: the field to look at, and why.
fn lost(release: &Release, service: &Value) -> Option<(String, String)> {
    service["spec"]["selector"].as_object().filter(|selector| !selector.is_empty())?;
    let workloads: Vec<Workload<'_>> = selected(release, service).collect();
    if workloads.is_empty() {
        return Some((
            "selector".to_owned(),
            "its selector finds no pod of the release".to_owned(),
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
        let message = format!("no container has a port {wanted}");
        (!found).then(|| (format!("ports/{index}/targetPort"), message))
    })
}
