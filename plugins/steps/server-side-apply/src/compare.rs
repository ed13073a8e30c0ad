//! Checks whether a live object already has all desired fields. Every desired value is compared in the form in which
//! the API server stores it.
//!
//! A wrong "no" costs one unnecessary apply. A wrong "yes" would leave the cluster in another state than desired, so
//! values count as different in case of doubt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use todohost_quantity as quantity;

/// Whether the live object has all desired fields. `built_in` is set for Kubernetes' own kinds, for which the API server
/// does not store zero values.
pub fn has_all(wanted: &Value, live: &Value, built_in: bool) -> bool {
    let comparison = Comparison { built_in };
    let (Some(wanted), Some(live)) = (wanted.as_object(), live.as_object()) else { return false };
    wanted.iter().all(|(key, value)| match key.as_str() {
        // Only controllers write the status.
        "status" => true,
        "stringData" => comparison.string_data(value, live.get("data")),
        _ => comparison.field(key, "", value, live.get(key)),
    })
}

struct Comparison {
    built_in: bool,
}

impl Comparison {
    fn field(&self, key: &str, parent: &str, wanted: &Value, live: Option<&Value>) -> bool {
        match live {
            None | Some(Value::Null) => self.is_left_out(wanted),
            Some(live) => self.value(key, parent, wanted, live),
        }
    }

    /// Whether the API server does not store this value.
    fn is_left_out(&self, wanted: &Value) -> bool {
        match wanted {
            Value::Null => true,
            Value::Bool(value) => self.built_in && !value,
            Value::Number(number) => self.built_in && number.as_f64() == Some(0.0),
            Value::String(text) => self.built_in && text.is_empty(),
            Value::Array(items) => self.built_in && items.is_empty(),
            Value::Object(fields) => {
                self.built_in && fields.values().all(|value| self.is_left_out(value))
            }
        }
    }

    fn value(&self, key: &str, parent: &str, wanted: &Value, live: &Value) -> bool {
        match (wanted, live) {
            (Value::Object(wanted), Value::Object(live)) => {
                wanted.iter().all(|(name, value)| self.field(name, key, value, live.get(name)))
            }
            (Value::Array(wanted), Value::Array(live)) => self.list(key, parent, wanted, live),
            // Generated manifests contain `creationTimestamp: null`. Only the API server sets it.
            (Value::Null, _) => key == "creationTimestamp",
            _ if wanted == live => true,
            (Value::Number(wanted), Value::Number(live)) => wanted.as_f64() == live.as_f64(),
            _ if is_quantity(key, parent) => {
                let (wanted, live) = (quantity::parse(wanted), quantity::parse(live));
                wanted.is_some() && wanted == live
            }
            _ if self.built_in && is_port(key) => {
                port(wanted).is_some() && port(wanted) == port(live)
            }
            _ => false,
        }
    }

    fn list(&self, key: &str, parent: &str, wanted: &[Value], live: &[Value]) -> bool {
        if key == "finalizers" {
            return wanted.iter().all(|item| live.contains(item));
        }
        if self.built_in
            && let Some(keys) = merge_keys(key, parent, wanted)
        {
            return wanted.iter().all(|item| {
                let same =
                    |candidate: &&Value| keys.iter().all(|key| key.of(item) == key.of(candidate));
                live.iter().find(same).is_some_and(|found| self.value(key, parent, item, found))
            });
        }
        let pairs = wanted.iter().zip(live);
        wanted.len() == live.len()
            && pairs.into_iter().all(|(wanted, live)| self.value(key, parent, wanted, live))
    }

    /// Compares `stringData`, which is stored as `data`: base64, or the opaque token that replaces a secret value.
    fn string_data(&self, wanted: &Value, live: Option<&Value>) -> bool {
        let Some(wanted) = wanted.as_object() else { return wanted.is_null() };
        let nothing = Map::new();
        let live = live.and_then(Value::as_object).unwrap_or(&nothing);
        wanted.iter().all(|(name, value)| {
            let (Some(wanted), Some(live)) =
                (value.as_str(), live.get(name).and_then(Value::as_str))
            else {
                return self.is_left_out(value) && !live.contains_key(name);
            };
            wanted == live || STANDARD.encode(wanted) == live
        })
    }
}

/// A field that identifies the items of a list, with its default value.
struct MergeKey {
    name: &'static str,
    default: Option<&'static str>,
}

impl MergeKey {
    fn of<'a>(&self, item: &'a Value) -> Option<std::borrow::Cow<'a, Value>> {
        match &item[self.name] {
            Value::Null => self.default.map(|text| std::borrow::Cow::Owned(Value::from(text))),
            value => Some(std::borrow::Cow::Borrowed(value)),
        }
    }
}

/// The keys of Kubernetes' associative lists; `None` for atomic lists.
fn merge_keys(key: &str, parent: &str, wanted: &[Value]) -> Option<Vec<MergeKey>> {
    const PROTOCOL: MergeKey = MergeKey { name: "protocol", default: Some("TCP") };
    let by = |name| vec![MergeKey { name, default: None }];
    let keys = match key {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims" => by("name"),
        "volumeMounts" => by("mountPath"),
        "volumeDevices" => by("devicePath"),
        "hostAliases" => by("ip"),
        "conditions" => by("type"),
        "ownerReferences" => by("uid"),
        "topologySpreadConstraints" => vec![
            MergeKey { name: "topologyKey", default: None },
            MergeKey { name: "whenUnsatisfiable", default: None },
        ],
        "ports" if parent == "spec" => vec![MergeKey { name: "port", default: None }, PROTOCOL],
        "ports" => vec![MergeKey { name: "containerPort", default: None }, PROTOCOL],
        _ => return None,
    };
    // If the items lack the key, it is another list of the same name, for example that of a NetworkPolicy.
    let complete = wanted.iter().all(|item| keys.iter().all(|key| key.of(item).is_some()));
    complete.then_some(keys)
}

fn is_quantity(key: &str, parent: &str) -> bool {
    const PARENTS: [&str; 11] = [
        "limits",
        "requests",
        "capacity",
        "hard",
        "default",
        "defaultRequest",
        "max",
        "min",
        "maxLimitRequestRatio",
        "overhead",
        "podFixed",
    ];
    const KEYS: [&str; 4] = ["sizeLimit", "divisor", "averageValue", "value"];
    // The `value` of an environment variable is a text; only that of a metric's target is a quantity.
    PARENTS.contains(&parent) || (KEYS.contains(&key) && (key != "value" || parent == "target"))
}

fn is_port(key: &str) -> bool {
    key == "port" || key.ends_with("Port")
}

fn port(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> (Value, Value) {
        let wanted = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": null},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {
                "hostNetwork": false, "nodeSelector": {}, "tolerations": [],
                "containers": [{
                    "name": "web", "image": "web:1", "args": [], "securityContext": {},
                    "ports": [{"containerPort": 3000}],
                    "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                    "resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "0.1"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": 3000}}
                }]
            }}}
        });
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"app": "web", "more": "x"}, "uid": "u", "namespace": "shop",
                "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 1, "progressDeadlineSeconds": 600,
                "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {
                "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                "containers": [{
                    "name": "injected", "image": "proxy:1"}, {
                    "name": "web", "image": "web:1", "securityContext": {}, "imagePullPolicy": "Never",
                    "ports": [{"containerPort": 3000, "protocol": "TCP"}],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "resources": {"limits": {"cpu": "1", "memory": "1024Mi"}, "requests": {"cpu": "100m"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": 3000, "scheme": "HTTP"}, "periodSeconds": 10}
                }]
            }}},
            "status": {"readyReplicas": 1}
        });
        (wanted, live)
    }

    #[test]
    fn defaults_and_normalised_values_are_not_differences() {
        let (mut wanted, live) = deployment();
        assert!(has_all(&wanted, &live, true));
        wanted["status"] = json!({"replicas": 7});
        assert!(has_all(&wanted, &live, true));
    }

    #[test]
    fn changed_value_is_a_difference() {
        for (pointer, value) in [
            ("/spec/replicas", json!(2)),
            ("/metadata/labels/app", json!("other")),
            ("/spec/template/spec/containers/0/image", json!("web:2")),
            ("/spec/template/spec/containers/0/env/0/value", json!("3")),
            ("/spec/template/spec/containers/0/env/0/name", json!("C")),
            ("/spec/template/spec/containers/0/resources/limits/memory", json!("1G")),
            ("/spec/template/spec/containers/0/ports/0/containerPort", json!(3001)),
            ("/spec/template/spec/containers/0/args", json!(["x"])),
            ("/spec/template/spec/hostNetwork", json!(true)),
        ] {
            let (mut wanted, live) = deployment();
            assert!(has_all(&wanted, &live, true), "the base case");
            *wanted.pointer_mut(pointer).unwrap() = value;
            assert!(!has_all(&wanted, &live, true), "{pointer}");
        }
    }

    #[test]
    fn environment_variables_are_compared_as_text() {
        let wanted = json!({"env": [{"name": "A", "value": "1"}]});
        assert!(!has_all(&wanted, &json!({"env": [{"name": "A", "value": "1000m"}]}), true));
    }

    #[test]
    fn service_ports_are_identified_by_port_and_protocol() {
        let wanted = json!({"spec": {"ports": [{"port": 53, "protocol": "UDP", "targetPort": "53"}, {"port": 53}]}});
        let live = json!({"spec": {"ports": [
            {"port": 53, "protocol": "TCP", "targetPort": 53, "nodePort": 30001},
            {"port": 53, "protocol": "UDP", "targetPort": 53}]}});
        assert!(has_all(&wanted, &live, true));
        let wanted = json!({"spec": {"ports": [{"port": 53, "protocol": "SCTP"}]}});
        assert!(!has_all(&wanted, &live, true));
    }

    #[test]
    fn atomic_lists_are_compared_item_by_item() {
        let wanted =
            json!({"spec": {"rules": [{"host": "a", "http": {"paths": [{"path": "/"}]}}]}});
        let live = json!({"spec": {"rules": [{"host": "a", "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]}});
        assert!(has_all(&wanted, &live, true));
        let longer = json!({"spec": {"rules": [live["spec"]["rules"][0], {"host": "b"}]}});
        assert!(!has_all(&wanted, &longer, true));
        assert!(!has_all(&json!({"args": ["a", "b"]}), &json!({"args": ["b", "a"]}), true));
        let policy = json!({"spec": {"ports": [{"protocol": "TCP"}]}});
        assert!(!has_all(&policy, &json!({"spec": {"ports": []}}), true));
    }

    #[test]
    fn zero_values_of_custom_resources_are_compared() {
        let wanted = json!({"spec": {"paused": false}});
        assert!(has_all(&wanted, &json!({"spec": {}}), true));
        assert!(!has_all(&wanted, &json!({"spec": {}}), false));
        assert!(has_all(&json!({"spec": {"port": "80"}}), &json!({"spec": {"port": 80}}), true));
        assert!(!has_all(&json!({"spec": {"port": "80"}}), &json!({"spec": {"port": 80}}), false));
    }

    #[test]
    fn secrets_are_compared_by_their_tokens() {
        let live = json!({"data": {"a": "dG9rZW4=", "b": "tokenb"}});
        assert!(has_all(&json!({"stringData": {"a": "token", "b": "tokenb"}}), &live, true));
        assert!(has_all(&json!({"data": {"b": "tokenb"}}), &live, true));
        assert!(!has_all(&json!({"data": {"b": "tokenc"}}), &live, true));
        assert!(!has_all(&json!({"stringData": {"c": "token"}}), &live, true));
        assert!(!has_all(&json!({"stringData": {"a": "other"}}), &live, true));
    }
}
