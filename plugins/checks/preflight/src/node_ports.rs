//! The row about node ports: a port that a Service sets by number must not be used by another Service.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::subject::Rendered;
use todohost_plugin::{Finding, ObjectRef, Result};

use crate::unreadable;

/// Code of the row.
pub const CODE: &str = "preflight.node-port";

/// Kubernetes' default range of node ports.
const RANGE: std::ops::RangeInclusive<u64> = 30000..=32767;

/// Checks the node ports that the rendered Services set. `services` lists the Services of all namespaces; it is called
/// only if there are such ports.
pub fn check(rendered: &Rendered, services: impl FnOnce() -> Result<Vec<Value>>) -> Finding {
    let wanted: Vec<(ServiceName, u64)> = rendered
        .objects
        .iter()
        .filter(|object| object["apiVersion"] == "v1" && object["kind"] == "Service")
        .flat_map(|service| {
            let service_name = ServiceName::of(service, &rendered.app.namespace);
            ports(service).map(move |port| (service_name.clone(), port)).collect::<Vec<_>>()
        })
        .collect();
    if wanted.is_empty() {
        return Finding::passed(CODE, "no Service sets a node port");
    }
    let services = match services() {
        Ok(services) => services,
        Err(error) => return unreadable(CODE, &error),
    };
    let mut used_by: BTreeMap<u64, ServiceName> = BTreeMap::new();
    for service in &services {
        let service_name = ServiceName::of(service, "");
        used_by.extend(ports(service).map(|port| (port, service_name.clone())));
    }
    let mut used: BTreeSet<u64> = used_by.keys().copied().collect();
    used.extend(wanted.iter().map(|(_, port)| *port));
    let conflicts: Vec<(&ServiceName, u64, &ServiceName)> = wanted
        .iter()
        .filter_map(|(service, port)| Some((service, *port, used_by.get(port)?)))
        .filter(|(service, _, holder)| service != holder)
        .collect();
    let Some((service, port, holder)) = conflicts.first() else {
        let ports: Vec<String> = wanted.iter().map(|(_, port)| port.to_string()).collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        return Finding::passed(CODE, format!("no other Service uses {word} {}", ports.join(", ")));
    };
    let message = format!("node port {port} is already used by {holder}");
    let finding = conflicts.iter().fold(
        Finding::failed(CODE, message),
        |finding, (service, port, holder)| {
            finding.evidence(format!("{port} is set by {service} and used by {holder}"))
        },
    );
    let finding = finding.object(ObjectRef {
        api_version: "v1".into(),
        kind: "Service".into(),
        namespace: Some(service.namespace.clone()),
        name: service.name.clone(),
    });
    let free = RANGE.into_iter().find(|port| !used.contains(port));
    match free {
        Some(free) => finding.help(format!(
            "set another nodePort for the Service in the chart's values, e.g. {free}, which is free"
        )),
        None => finding,
    }
}

/// Namespace and name of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ServiceName {
    namespace: String,
    name: String,
}

impl ServiceName {
    fn of(service: &Value, default_namespace: &str) -> Self {
        let named = ObjectRef::of(service);
        Self {
            namespace: named.namespace.unwrap_or_else(|| default_namespace.to_owned()),
            name: named.name,
        }
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Service/{} in {}", self.name, self.namespace)
    }
}

/// The node ports that a Service sets, that of its health check included.
fn ports(service: &Value) -> impl Iterator<Item = u64> {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = ports.iter().filter_map(|port| port["nodePort"].as_u64());
    named.chain(spec["healthCheckNodePort"].as_u64()).filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::subject::App;
    use todohost_plugin::{Error, Outcome};

    fn service(namespace: &str, name: &str, port: Option<u64>) -> Value {
        json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "ports": [{ "port": 80, "nodePort": port }] } })
    }

    fn rendered(objects: Vec<Value>) -> Rendered {
        let app = App { name: "shop".into(), namespace: "shop".into() };
        Rendered { app, objects, images: Vec::new(), target: json!({}) }
    }

    #[test]
    fn free_ports_and_ports_of_the_app_itself_pass() {
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let live = vec![service("shop", "web", Some(30000)), service("other", "web", Some(30001))];
        let finding = check(&wanted, || Ok(live));
        assert_eq!(finding.outcome, Outcome::Passed, "{finding:?}");
        let free = check(&wanted, || Ok(Vec::new()));
        assert_eq!(free.message, "no other Service uses port 30000");
    }

    #[test]
    fn conflict_names_the_other_service_and_a_free_port() {
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let live = vec![service("other", "web", Some(30000)), service("other", "b", Some(30001))];
        let finding = check(&wanted, || Ok(live));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, "node port 30000 is already used by Service/web in other");
        assert!(
            finding.help.as_ref().is_some_and(|help| help.contains("e.g. 30002")),
            "{finding:?}"
        );
    }

    #[test]
    fn services_are_listed_only_if_a_port_is_set() {
        let wanted = rendered(vec![service("shop", "web", None)]);
        let finding = check(&wanted, || panic!("the list is not needed"));
        assert_eq!(finding.outcome, Outcome::Passed);
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let finding = check(&wanted, || Err(Error::unavailable("x", "services is forbidden")));
        assert_eq!(finding.outcome, Outcome::NotJudged);
    }
}
