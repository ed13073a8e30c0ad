//! Server-side apply: ownership of fields, conflicts, and the merged object.
//!
//! Resource versions, generations and storage are in `store`.

use serde_json::{Value, json};

use super::fields::{self, Element, FieldSet, Path};

/// A field owned by another manager with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// Path of the field, e.g. `.spec.replicas`.
    pub field: String,
    /// Owner of the field.
    pub manager: String,
    /// ` using apps/v1 at TIME`, as the API server reports managers that do not use apply; otherwise empty.
    pub wrote: String,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
struct Manager {
    name: String,
    operation: String,
    api_version: String,
    time: String,
    set: FieldSet,
}

fn managers(object: &Value) -> Vec<Manager> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| Manager {
            name: text(entry, "manager"),
            operation: text(entry, "operation"),
            api_version: text(entry, "apiVersion"),
            time: text(entry, "time"),
            set: fields::decode(&entry["fieldsV1"]),
        })
        .collect()
}

fn write_managers(object: &mut Value, managers: &[Manager]) {
    let entries: Vec<Value> = managers
        .iter()
        .filter(|manager| !manager.set.is_empty())
        .map(|manager| {
            json!({
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": manager.api_version,
                "time": manager.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields::encode(&manager.set),
            })
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(entries);
}

/// Applies `wanted` as `manager` to `live`, or creates the object, and returns the result.
///
/// # Errors
/// Without `force`, fails with the fields that other managers own with another value.
pub fn apply(
    live: Option<&Value>,
    wanted: &Value,
    manager: &str,
    force: bool,
    now: &str,
) -> Result<Value, Vec<FieldConflict>> {
    let mut merged = live.cloned().unwrap_or_else(|| {
        json!({
            "apiVersion": wanted["apiVersion"], "kind": wanted["kind"],
            "metadata": { "name": wanted["metadata"]["name"] },
        })
    });
    let mut all = managers(&merged);
    let wanted_set = fields::fields_of(wanted);
    let is_me = |other: &Manager| other.name == manager && other.operation == "Apply";

    let mut conflicts = Vec::new();
    for other in all.iter().filter(|other| !is_me(other)) {
        for path in wanted_set.intersection(&other.set) {
            if !is_item(path) && fields::get(&merged, path) != fields::get(wanted, path) {
                conflicts.push((path.clone(), other.clone()));
            }
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(conflicts
            .into_iter()
            .map(|(path, other)| FieldConflict {
                field: fields::display(&path),
                wrote: match other.operation.as_str() {
                    "Apply" => String::new(),
                    _ => format!(" using {} at {}", other.api_version, other.time),
                },
                manager: other.name,
            })
            .collect());
    }
    for (path, _) in &conflicts {
        for other in &mut all {
            other.set.remove(path);
        }
    }

    let mine = all.iter().find(|other| is_me(other)).cloned();
    let given_up: Vec<Path> = mine
        .iter()
        .flat_map(|mine| mine.set.difference(&wanted_set))
        .filter(|path| {
            // An item stays as long as another manager owns a field in it.
            !all.iter()
                .filter(|other| !is_me(other))
                .any(|other| other.set.iter().any(|owned| owned.starts_with(path)))
        })
        .cloned()
        .collect();
    // Deepest first, so that the fields of an item are removed before the item.
    for path in given_up.iter().rev() {
        fields::remove(&mut merged, path);
    }
    for path in &wanted_set {
        if let Some(value) = fields::get(wanted, path) {
            fields::set(&mut merged, path, value);
        }
    }
    let unchanged = live.is_some_and(|live| *live == merged)
        && mine.as_ref().is_some_and(|mine| mine.set == wanted_set)
        && conflicts.is_empty();
    if unchanged {
        return Ok(merged);
    }
    all.retain(|other| !is_me(other));
    all.push(Manager {
        name: manager.to_owned(),
        operation: "Apply".to_owned(),
        api_version: wanted["apiVersion"].as_str().unwrap_or_default().to_owned(),
        time: now.to_owned(),
        set: wanted_set,
    });
    write_managers(&mut merged, &all);
    Ok(merged)
}

/// Records a write of `written` over `live` without apply: `manager` becomes the owner of all changed fields.
pub fn own_update(live: Option<&Value>, written: &mut Value, manager: &str, now: &str) {
    let mut all = live.map(managers).unwrap_or_default();
    let present = fields::fields_of(written);
    let changed: FieldSet = present
        .iter()
        .filter(|path| {
            live.is_none_or(|live| fields::get(live, path) != fields::get(written, path))
        })
        .cloned()
        .collect();
    for other in &mut all {
        other.set.retain(|path| present.contains(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        let api_version = written["apiVersion"].as_str().unwrap_or_default().to_owned();
        match all.iter_mut().find(|other| other.name == manager && other.operation == "Update") {
            Some(mine) => mine.set.extend(changed),
            None => all.push(Manager {
                name: manager.to_owned(),
                operation: "Update".to_owned(),
                api_version,
                time: now.to_owned(),
                set: changed,
            }),
        }
    }
    write_managers(written, &all);
}

fn is_item(path: &[Element]) -> bool {
    matches!(path.last(), Some(Element::Item(_)))
}

/// JSON merge patch, RFC 7396.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in members {
        if value.is_null() {
            object.remove(name);
        } else {
            merge_patch(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn config(data: Value) -> Value {
        let mut object =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" } });
        object["data"] = data;
        object
    }

    #[test]
    fn repeated_apply_changes_nothing() {
        let wanted = config(json!({ "a": "1" }));
        let first = apply(None, &wanted, "helm", false, NOW).unwrap();
        let second = apply(Some(&first), &wanted, "helm", false, "later").unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn abandoned_field_is_removed() {
        let first =
            apply(None, &config(json!({ "a": "1", "b": "2" })), "helm", false, NOW).unwrap();
        let second = apply(Some(&first), &config(json!({ "a": "1" })), "helm", false, NOW).unwrap();
        assert_eq!(second["data"], json!({ "a": "1" }));
    }

    #[test]
    fn abandoned_field_stays_if_another_manager_owns_it() {
        let wanted = config(json!({ "a": "1", "b": "2" }));
        let first = apply(None, &wanted, "helm", false, NOW).unwrap();
        let shared = apply(Some(&first), &wanted, "kubectl", false, NOW).unwrap();
        let second =
            apply(Some(&shared), &config(json!({ "a": "1" })), "helm", false, NOW).unwrap();
        assert_eq!(second["data"], json!({ "a": "1", "b": "2" }));
    }

    #[test]
    fn value_of_another_manager_is_a_conflict_unless_forced() {
        let first = apply(None, &config(json!({ "a": "1" })), "helm", false, NOW).unwrap();
        let mut edited = first.clone();
        edited["data"]["a"] = json!("9");
        own_update(Some(&first), &mut edited, "kubectl-edit", NOW);

        let wanted = config(json!({ "a": "1" }));
        let conflicts = apply(Some(&edited), &wanted, "helm", false, NOW).unwrap_err();
        assert_eq!(
            conflicts,
            [FieldConflict {
                field: ".data.a".into(),
                manager: "kubectl-edit".into(),
                wrote: format!(" using v1 at {NOW}"),
            }]
        );
        let forced = apply(Some(&edited), &wanted, "helm", true, NOW).unwrap();
        assert_eq!(forced["data"]["a"], "1");
        assert!(apply(Some(&forced), &wanted, "helm", false, NOW).is_ok());
    }

    #[test]
    fn containers_are_merged_by_name() {
        let pod = |image: &str| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
                "spec": { "containers": [{ "name": "app", "image": image }] },
            })
        };
        let mut first = apply(None, &pod("todo:1"), "helm", false, NOW).unwrap();
        let sidecar = json!({ "name": "sidecar", "image": "mesh:1" });
        first["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
        let second = apply(Some(&first), &pod("todo:2"), "helm", false, NOW).unwrap();
        assert_eq!(
            second["spec"]["containers"],
            json!([{ "name": "app", "image": "todo:2" }, { "name": "sidecar", "image": "mesh:1" }])
        );
    }
}
