//! Sets of fields owned by managers, and their encoding as `FieldsV1`.
//!
//! Owns paths, the keys of well-known lists, and reading, writing and removing the value at a path. The ownership of
//! fields is in `merge`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A member of an object.
    Field(String),
    /// An item of a list, by the JSON of its key fields.
    Item(String),
}

/// A path to a value in an object.
pub type Path = Vec<Element>;

/// Fields of a manager: scalars, whole lists without keys, empty objects, and items of keyed lists.
pub type FieldSet = BTreeSet<Path>;

/// Formats a path like the API server in conflicts: `.spec.template.spec.containers[name="app"].image`.
pub fn display(path: &[Element]) -> String {
    let mut text = String::new();
    for element in path {
        match element {
            Element::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Element::Item(key) => {
                let fields: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                text.push('[');
                text.push_str(&fields.join(","));
                text.push(']');
            }
        }
    }
    text
}

/// The key fields of a list, given the name of the field that holds it and one of its items.
fn key_fields(list: &str, item: &Map<String, Value>) -> Option<&'static [&'static str]> {
    let fields: &'static [&'static str] = match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "hostAliases" => &["ip"],
        "conditions" => &["type"],
        "ownerReferences" => &["uid"],
        "ports" if item.contains_key("containerPort") => &["containerPort", "protocol"],
        "ports" => &["port", "protocol"],
        _ => return None,
    };
    Some(fields)
}

/// The key of `item` in the list named `list`; `None` if the list has no keys.
fn key_of(list: &str, item: &Value) -> Option<String> {
    let item = item.as_object()?;
    let mut key = Map::new();
    for field in key_fields(list, item)? {
        let value = match (item.get(*field), *field) {
            (Some(value), _) => value.clone(),
            (None, "protocol") => json!("TCP"),
            (None, _) => return None,
        };
        key.insert((*field).to_owned(), value);
    }
    Some(Value::Object(key).to_string())
}

/// All fields of `object` without its identity and the fields that only the server writes.
pub fn fields_of(object: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    let Some(members) = object.as_object() else { return set };
    for (name, value) in members {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let authors = ["labels", "annotations", "finalizers", "ownerReferences"];
                    if authors.contains(&name.as_str()) {
                        let path =
                            vec![Element::Field("metadata".into()), Element::Field(name.clone())];
                        collect(value, path, &mut set);
                    }
                }
            }
            _ => collect(value, vec![Element::Field(name.clone())], &mut set),
        }
    }
    set
}

fn collect(value: &Value, path: Path, set: &mut FieldSet) {
    match value {
        // A null field counts as absent.
        Value::Null => {}
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let mut path = path.clone();
                path.push(Element::Field(name.clone()));
                collect(value, path, set);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let list = match path.last() {
                Some(Element::Field(name)) => name.clone(),
                _ => String::new(),
            };
            let keys: Option<Vec<String>> = items.iter().map(|item| key_of(&list, item)).collect();
            let Some(keys) = keys else {
                set.insert(path);
                return;
            };
            for (key, item) in keys.into_iter().zip(items) {
                let mut path = path.clone();
                path.push(Element::Item(key));
                set.insert(path.clone());
                collect(item, path, set);
            }
        }
        _ => {
            set.insert(path);
        }
    }
}

/// The value at `path` in `object`.
pub fn get<'a>(object: &'a Value, path: &[Element]) -> Option<&'a Value> {
    let mut place = object;
    let mut list = "";
    for element in path {
        place = match element {
            Element::Field(name) => {
                list = name;
                place.get(name)?
            }
            Element::Item(key) => place
                .as_array()?
                .iter()
                .find(|item| key_of(list, item).as_deref() == Some(key.as_str()))?,
        };
    }
    Some(place)
}

/// Sets the value at `path`. Missing items of lists are created.
pub fn set(object: &mut Value, path: &[Element], value: &Value) {
    set_in(object, "", path, value);
}

fn set_in(place: &mut Value, list: &str, path: &[Element], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *place = value.clone();
        return;
    };
    match first {
        Element::Field(name) => {
            if !place.is_object() {
                *place = json!({});
            }
            if let Some(members) = place.as_object_mut() {
                let member = members.entry(name.clone()).or_insert(Value::Null);
                set_in(member, name, rest, value);
            }
        }
        Element::Item(key) => {
            if !place.is_array() {
                *place = json!([]);
            }
            let Some(items) = place.as_array_mut() else { return };
            let found =
                items.iter().position(|item| key_of(list, item).as_deref() == Some(key.as_str()));
            let index = found.unwrap_or_else(|| {
                items.push(serde_json::from_str(key).unwrap_or(Value::Null));
                items.len() - 1
            });
            // The path of an item stands for its existence; its fields have their own paths.
            if !rest.is_empty() {
                set_in(&mut items[index], list, rest, value);
            }
        }
    }
}

/// Removes the value at `path`, and the objects and lists that become empty.
pub fn remove(object: &mut Value, path: &[Element]) {
    remove_in(object, "", path);
}

/// Reports whether `place` is empty afterwards.
fn remove_in(place: &mut Value, list: &str, path: &[Element]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match (first, place) {
        (Element::Field(name), Value::Object(members)) => {
            if let Some(member) = members.get_mut(name)
                && remove_in(member, name, rest)
            {
                members.remove(name);
            }
            members.is_empty()
        }
        (Element::Item(key), Value::Array(items)) => {
            let found =
                items.iter().position(|item| key_of(list, item).as_deref() == Some(key.as_str()));
            if let Some(index) = found
                && remove_in(&mut items[index], list, rest)
            {
                items.remove(index);
            }
            items.is_empty()
        }
        _ => false,
    }
}

/// Encodes a set as a `FieldsV1` document.
pub fn encode(set: &FieldSet) -> Value {
    let mut root = Map::new();
    for path in set {
        let mut place = &mut root;
        for element in path {
            let name = match element {
                Element::Field(name) => format!("f:{name}"),
                Element::Item(key) => format!("k:{key}"),
            };
            let member = place.entry(name).or_insert_with(|| json!({}));
            let Value::Object(members) = member else { return Value::Null };
            place = members;
        }
        if matches!(path.last(), Some(Element::Item(_))) {
            place.insert(".".into(), json!({}));
        }
    }
    Value::Object(root)
}

/// Decodes a `FieldsV1` document.
pub fn decode(document: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    decode_in(document, &Path::new(), &mut set);
    set
}

fn decode_in(document: &Value, path: &Path, set: &mut FieldSet) {
    let Some(members) = document.as_object() else { return };
    if members.is_empty() && !path.is_empty() {
        set.insert(path.clone());
    }
    for (name, value) in members {
        let element = match name.split_at_checked(2) {
            Some(("f:", name)) => Element::Field(name.to_owned()),
            Some(("k:", key)) => Element::Item(key.to_owned()),
            _ => {
                set.insert(path.clone());
                continue;
            }
        };
        let mut path = path.clone();
        path.push(element);
        decode_in(value, &path, set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "p", "labels": { "app": "todo" }, "uid": "1" },
            "spec": { "containers": [
                { "name": "app", "image": "todo:1", "ports": [{ "containerPort": 8000 }] },
            ] },
        })
    }

    #[test]
    fn fields_exclude_the_identity() {
        let names: Vec<String> = fields_of(&pod()).iter().map(|path| display(path)).collect();
        assert_eq!(
            names,
            [
                ".metadata.labels.app",
                ".spec.containers[name=\"app\"]",
                ".spec.containers[name=\"app\"].image",
                ".spec.containers[name=\"app\"].name",
                ".spec.containers[name=\"app\"].ports[containerPort=8000,protocol=\"TCP\"]",
                ".spec.containers[name=\"app\"].ports[containerPort=8000,protocol=\"TCP\"].containerPort",
            ]
        );
    }

    #[test]
    fn encoded_set_decodes_to_itself() {
        let set = fields_of(&pod());
        assert_eq!(decode(&encode(&set)), set);
    }

    #[test]
    fn removing_a_value_removes_emptied_parents() {
        let mut object = pod();
        let path = vec![
            Element::Field("metadata".into()),
            Element::Field("labels".into()),
            Element::Field("app".into()),
        ];
        remove(&mut object, &path);
        assert_eq!(object["metadata"], json!({ "name": "p", "uid": "1" }));
    }
}
