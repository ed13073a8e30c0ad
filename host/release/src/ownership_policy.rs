//! Fields that other managers own: taken, left to them, or a reason to refuse.
//!
//! Owns the decision and carrying it out with server-side apply. Finding a field in a document is `field`'s.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Adoption, Transaction};
use todohost_cluster::{Applied, ApplyOptions, ClusterError, FIELD_MANAGER, FieldConflict, Query};
use todohost_model::field::{self, FieldPattern};
use todohost_model::object::{Object, ObjectRef};

/// The field that autoscalers set.
const REPLICAS: &str = ".spec.replicas";

/// Rounds in which new conflicts may turn up after those before are settled.
const ROUNDS: usize = 3;

/// The user's choices about objects and fields of other owners.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OwnershipPolicy {
    /// Take all fields that no rule leaves to their manager.
    pub force: bool,
    /// Take these fields, against any rule.
    pub take: Vec<FieldPattern>,
    /// Leave these.
    pub ignore: Vec<FieldPattern>,
    /// Objects that are taken over from any owner.
    pub adopt: Vec<Adoption>,
}

/// A field that stays as another manager has it.
#[derive(Clone, Debug)]
pub struct LeftField {
    /// Whose.
    pub conflict: FieldConflict,
    /// The rule.
    pub because: &'static str,
}

/// An applied object, with the fields that were left to others.
pub(super) struct Settled {
    pub applied: Applied,
    pub left: Vec<LeftField>,
}

enum Resolution {
    Taken,
    Left(&'static str),
    Refused,
}

impl Transaction {
    /// Server-side apply that resolves conflicts by the user's choices and the rules. `before` is the live object.
    ///
    /// # Errors
    /// `Conflict` with the fields that no choice or rule resolves; the server's refusals.
    pub(super) async fn apply_settled(
        &self,
        object: &Object,
        before: Option<&Object>,
        dry_run: bool,
    ) -> Result<Settled, ClusterError> {
        let named = todohost_cluster::reference(object)?;
        let mut object = object.clone();
        let mut options = ApplyOptions { dry_run, force: false };
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            let conflicts = match self.client.apply_over(&object, before, options).await {
                Ok(applied) => return Ok(Settled { applied, left }),
                Err(ClusterError::Conflict { conflicts, .. }) => conflicts,
                Err(error) => return Err(error),
            };
            let mut refused = Vec::new();
            for mut conflict in conflicts {
                conflict.since = conflict.since.take().or_else(|| since(before?, &conflict));
                match self.fate(&named, &conflict).await? {
                    Resolution::Taken => options.force = true,
                    Resolution::Left(because) if field::remove(&mut object, &conflict.field) => {
                        left.push(LeftField { conflict, because });
                    }
                    Resolution::Left(_) | Resolution::Refused => refused.push(conflict),
                }
            }
            if !refused.is_empty() {
                return Err(ClusterError::Conflict { object: Box::new(named), conflicts: refused });
            }
        }
        Err(ClusterError::Precondition {
            action: format!("apply {named}"),
            message: "the managers of its fields keep changing".to_owned(),
            exists: true,
        })
    }

    async fn fate(
        &self,
        object: &ObjectRef,
        conflict: &FieldConflict,
    ) -> Result<Resolution, ClusterError> {
        let said = |patterns: &[FieldPattern]| {
            patterns.iter().any(|one| one.names(object, &conflict.field))
        };
        Ok(if said(&self.takeover.take) {
            Resolution::Taken
        } else if said(&self.takeover.ignore) {
            Resolution::Left("todohost.toml ignores it")
        } else if conflict.manager == FIELD_MANAGER {
            // Stock Helm before server-side apply wrote under this very name.
            Resolution::Taken
        } else if conflict.field == REPLICAS && is_scaler(conflict) {
            Resolution::Left("it scales the object")
        } else if conflict.field == REPLICAS && self.is_autoscaled(object).await? {
            Resolution::Left("an autoscaler targets the object")
        } else if self.takeover.force {
            Resolution::Taken
        } else {
            Resolution::Refused
        })
    }

    /// Does a `HorizontalPodAutoscaler` target the object?
    async fn is_autoscaled(&self, object: &ObjectRef) -> Result<bool, ClusterError> {
        let query = Query {
            api_version: "autoscaling/v2".to_owned(),
            kind: "HorizontalPodAutoscaler".to_owned(),
            namespace: object.namespace.clone(),
            ..Query::default()
        };
        match self.client.list(&query).await {
            Ok(autoscalers) => Ok(autoscalers.iter().any(|autoscaler| targets(autoscaler, object))),
            // Without permission to read autoscalers, the user has to name the fields to leave.
            Err(ClusterError::Forbidden { .. } | ClusterError::UnknownKind { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// When the other manager wrote last: not every API server says it with the conflict.
fn since(object: &Object, conflict: &FieldConflict) -> Option<String> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let theirs = entries.iter().filter(|entry| {
        entry["manager"] == conflict.manager.as_str()
            && text(entry, "subresource") == conflict.subresource
    });
    theirs.filter_map(|entry| text(entry, "time")).max()
}

/// A controller that sets the number of replicas; `kubectl scale` is a person.
fn is_scaler(conflict: &FieldConflict) -> bool {
    conflict.subresource.as_deref() == Some("scale") && !conflict.manager.starts_with("kubectl")
}

fn targets(autoscaler: &Object, object: &ObjectRef) -> bool {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    let group = |api_version: &str| api_version.rsplit_once('/').map(|(group, _)| group.to_owned());
    let api_version = target.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    target["kind"] == object.kind.as_str()
        && target["name"] == object.name.as_str()
        && group(api_version) == group(&object.api_version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_that_scales_is_not_an_autoscaler() {
        let conflict = |manager: &str, subresource: Option<&str>| FieldConflict {
            field: REPLICAS.into(),
            manager: manager.into(),
            subresource: subresource.map(Into::into),
            since: None,
        };
        assert!(is_scaler(&conflict("kube-controller-manager", Some("scale"))));
        assert!(!is_scaler(&conflict("kubectl", Some("scale"))));
        assert!(!is_scaler(&conflict("kube-controller-manager", None)));
    }

    #[test]
    fn the_object_shows_the_time_of_the_takeover() {
        let object = json!({ "metadata": { "managedFields": [
            { "manager": "scaler", "time": "2026-01-03T00:00:00Z" },
            { "manager": "scaler", "time": "2026-01-01T00:00:00Z", "subresource": "scale" },
            { "manager": "scaler", "time": "2026-01-02T00:00:00Z", "subresource": "scale" }] } });
        let mut conflict = FieldConflict {
            field: REPLICAS.into(),
            manager: "scaler".into(),
            subresource: Some("scale".into()),
            since: None,
        };
        assert_eq!(since(&object, &conflict).as_deref(), Some("2026-01-02T00:00:00Z"));
        conflict.manager = "other".into();
        assert_eq!(since(&object, &conflict), None);
    }

    #[test]
    fn an_autoscaler_targets_by_group_kind_and_name() {
        let autoscaler = json!({ "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } } });
        let object = |api_version: &str, name: &str| ObjectRef {
            api_version: api_version.into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: name.into(),
        };
        assert!(targets(&autoscaler, &object("apps/v1", "web")));
        assert!(!targets(&autoscaler, &object("apps/v1", "worker")));
        assert!(!targets(&autoscaler, &object("example.org/v1", "web")));
    }
}
