//! Requests that show whether the release answers: the readiness path of each Service, sent through the API server.

use crate::document::{list, number, text};
use serde_json::Value;
use todohost_plugin::ObjectRef;
use todohost_plugin::verify::Probe;

/// One probe for each Service that selects pods with an HTTP readiness probe.
pub fn for_objects(objects: &[Value]) -> Vec<Probe> {
    objects
        .iter()
        .filter(|object| text(object, "/kind") == "Service" && text(object, "/apiVersion") == "v1")
        .filter_map(|service| for_service(service, objects))
        .collect()
}

fn for_service(service: &Value, objects: &[Value]) -> Option<Probe> {
    let selector = service.pointer("/spec/selector")?.as_object()?;
    let workload = objects.iter().find(|object| {
        let labels = object.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
        labels.is_some_and(|labels| {
            !selector.is_empty()
                && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    })?;
    let containers = list(workload, "/spec/template/spec/containers");
    let (container, get) = containers
        .iter()
        .find_map(|container| Some((container, container.pointer("/readinessProbe/httpGet")?)))?;
    if text(get, "/scheme").eq_ignore_ascii_case("https") {
        return None;
    }
    let probed = container_port(get.pointer("/port")?, container)?;
    // The Service port that targets the port of the readiness probe.
    let port = list(service, "/spec/ports").iter().find(|port| {
        let target = port.pointer("/targetPort").or_else(|| port.pointer("/port"));
        target.and_then(|target| container_port(target, container)) == Some(probed)
    })?;
    let name = text(service, "/metadata/name");
    let path = match text(get, "/path") {
        "" => "/",
        path => path,
    };
    let port = u16::try_from(number(port, "/port")?).ok()?;
    Some(Probe::get(ObjectRef::of(service), port, path, format!("{name} answers at {path}")))
}

/// Resolves a port given as a number or as the name of a container port.
fn container_port(port: &Value, container: &Value) -> Option<i64> {
    port.as_i64().or_else(|| {
        let name = port.as_str()?;
        let named = list(container, "/ports").iter().find(|one| text(one, "/name") == name)?;
        number(named, "/containerPort")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn probe_uses_the_service_port_that_targets_the_probed_port() {
        let objects = [
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "app"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 9000}, {"port": 80, "targetPort": "http"}]}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"template": {"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {"containers": [
                    {"ports": [{"name": "http", "containerPort": 3000}],
                     "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}}}]}}}}),
        ];
        let probes = for_objects(&objects);
        assert_eq!(probes.len(), 1);
        assert_eq!((probes[0].port, probes[0].path.as_str()), (80, "/ready"));
    }

    #[test]
    fn service_without_selector_or_http_probe_gets_no_probe() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80}]}});
        assert!(for_objects(&[service]).is_empty());
    }
}
