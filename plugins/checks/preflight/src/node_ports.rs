//! Node ports: those that Services ask for by number must not be another Service's.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::subject::Rendered;
use todohost_plugin::{Finding, ObjectRef, Result};

use crate::unreadable;

/// Of its row.
pub const CODE: &str = "preflight.node-port";
/// Where Kubernetes has them unless told otherwise.
const RANGE: std::ops::RangeInclusive<u64> = 30000..=32767;

/// `services` lists those of all namespaces; it is asked only where a port is wanted by number.
pub fn judge(rendered: &Rendered, services: impl FnOnce() -> Result<Vec<Value>>) -> Finding {
    let wanted: Vec<(Place, u64)> = rendered
        .objects
        .iter()
        .filter(|object| object["apiVersion"] == "v1" && object["kind"] == "Service")
        .flat_map(|service| {
            let place = Place::of(service, &rendered.app.namespace);
            ports(service).map(move |port| (place.clone(), port)).collect::<Vec<_>>()
        })
        .collect();
    if wanted.is_empty() {
        return Finding::passed(CODE, "no Service asks for one by number");
    }
    let services = match services() {
        Ok(services) => services,
        Err(error) => return unreadable(CODE, &error),
    };
    let mut held: BTreeMap<u64, Place> = BTreeMap::new();
    for service in &services {
        let place = Place::of(service, "");
        held.extend(ports(service).map(|port| (port, place.clone())));
    }
    let mut used: BTreeSet<u64> = held.keys().copied().collect();
    used.extend(wanted.iter().map(|(_, port)| *port));
    let taken: Vec<(&Place, u64, &Place)> = wanted
        .iter()
        .filter_map(|(service, port)| Some((service, *port, held.get(port)?)))
        .filter(|(service, _, holder)| service != holder)
        .collect();
    let Some((service, port, holder)) = taken.first() else {
        let ports: Vec<String> = wanted.iter().map(|(_, port)| port.to_string()).collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        return Finding::passed(CODE, format!("{word} {} for this app alone", ports.join(", ")));
    };
    let message = format!("node port {port} belongs to {holder}");
    let finding =
        taken.iter().fold(Finding::failed(CODE, message), |finding, (service, port, holder)| {
            finding.evidence(format!("{port} is wanted by {service} and held by {holder}"))
        });
    let finding = finding.object(ObjectRef {
        api_version: "v1".into(),
        kind: "Service".into(),
        namespace: Some(service.namespace.clone()),
        name: service.name.clone(),
    });
    let free = RANGE.into_iter().find(|port| !used.contains(port));
    match free {
        Some(free) => finding.help(format!(
            "give the Service another one in the chart's values, e.g. {free}, which no Service has"
        )),
        None => finding,
    }
}

/// Where a Service is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    namespace: String,
    name: String,
}

impl Place {
    fn of(service: &Value, otherwise: &str) -> Self {
        let named = ObjectRef::of(service);
        Self {
            namespace: named.namespace.unwrap_or_else(|| otherwise.to_owned()),
            name: named.name,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Service/{} in {}", self.name, self.namespace)
    }
}

/// The node ports that a Service names.
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
    fn the_apps_own_port_and_a_free_one_are_good() {
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let live = vec![service("shop", "web", Some(30000)), service("other", "web", Some(30001))];
        let finding = judge(&wanted, || Ok(live));
        assert_eq!(finding.outcome, Outcome::Passed, "{finding:?}");
        assert_eq!(judge(&wanted, || Ok(Vec::new())).message, "port 30000 for this app alone");
    }

    #[test]
    fn who_has_it_and_which_one_is_free_is_said() {
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let live = vec![service("other", "web", Some(30000)), service("other", "b", Some(30001))];
        let finding = judge(&wanted, || Ok(live));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, "node port 30000 belongs to Service/web in other");
        assert!(
            finding.help.as_ref().is_some_and(|help| help.contains("e.g. 30002")),
            "{finding:?}"
        );
    }

    #[test]
    fn services_are_listed_only_where_a_port_is_asked_for() {
        let wanted = rendered(vec![service("shop", "web", None)]);
        let finding = judge(&wanted, || panic!("nobody needs the list"));
        assert_eq!(finding.outcome, Outcome::Passed);
        let wanted = rendered(vec![service("shop", "web", Some(30000))]);
        let finding = judge(&wanted, || Err(Error::unavailable("x", "services is forbidden")));
        assert_eq!(finding.outcome, Outcome::NotJudged);
    }
}
