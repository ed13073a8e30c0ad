//! Fields of objects, in the notation of the API server: `.spec.containers[name="web"].image`.
//!
//! Owns finding a field in a document by its path, and patterns of fields. `cluster` finds out the managers of a field,
//! and `release` decides on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::object::{Object, ObjectRef};

/// A pattern of fields: `.spec.replicas` matches the field of every object, `Deployment/web:.spec.replicas` that of one
/// object, and `Deployment/*:.spec` also the fields below it. `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPattern {
    /// Kind and name; `None` for every object.
    object: Option<(String, String)>,
    field: String,
}

/// The text is not a pattern of fields.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a field: write .spec.replicas, or Deployment/web:.spec.replicas for one object"
)]
pub struct NoField {
    text: String,
}

impl FromStr for FieldPattern {
    type Err = NoField;

    fn from_str(text: &str) -> Result<Self, NoField> {
        let wrong = || NoField { text: text.to_owned() };
        let (object, field) = match text.split_once(":.") {
            Some((object, field)) => {
                let (kind, name) = object.split_once('/').ok_or_else(wrong)?;
                if kind.is_empty() || name.is_empty() {
                    return Err(wrong());
                }
                (Some((kind.to_owned(), name.to_owned())), format!(".{field}"))
            }
            None => (None, text.to_owned()),
        };
        if !field.starts_with('.') || field.len() < 2 {
            return Err(wrong());
        }
        Ok(Self { object, field })
    }
}

impl TryFrom<String> for FieldPattern {
    type Error = NoField;

    fn try_from(text: String) -> Result<Self, NoField> {
        text.parse()
    }
}

impl From<FieldPattern> for String {
    fn from(pattern: FieldPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((kind, name)) = &self.object {
            write!(formatter, "{kind}/{name}:")?;
        }
        formatter.write_str(&self.field)
    }
}

impl FieldPattern {
    /// A pattern for the field of one object.
    pub fn of(object: &ObjectRef, field: &str) -> Self {
        Self { object: Some((object.kind.clone(), object.name.clone())), field: field.to_owned() }
    }

    /// Whether the pattern matches this field of this object, or a field above it.
    pub fn names(&self, object: &ObjectRef, field: &str) -> bool {
        let of_object = self
            .object
            .as_ref()
            .is_none_or(|(kind, name)| matches(kind, &object.kind) && matches(name, &object.name));
        of_object && prefixes(field).any(|part| matches(&self.field, part))
    }
}

/// The path and every path above it.
fn prefixes(field: &str) -> impl Iterator<Item = &str> {
    let ends = field.match_indices(['.', '[']).map(|(index, _)| index).filter(|index| *index > 0);
    ends.map(|end| &field[..end]).chain(std::iter::once(field))
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len())
        .filter(|start| rest.is_char_boundary(*start))
        .any(|start| matches(tail, &rest[start..]))
}

/// Removes a field from a document, and the maps and lists that become empty. Returns `false` if the field is missing.
pub fn remove(object: &mut Object, field: &str) -> bool {
    let Some(step) = field.chars().next() else { return false };
    match (step, object) {
        ('.', Value::Object(members)) => {
            let path = &field[1..];
            // A name may contain dots, so try the names in the document; the longest one wins.
            let name = members
                .keys()
                .filter(|name| {
                    path.strip_prefix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                })
                .max_by_key(|name| name.len())
                .cloned();
            let Some(name) = name else { return false };
            let rest = &path[name.len()..];
            if rest.is_empty() {
                return members.shift_remove(&name).is_some();
            }
            let Some(member) = members.get_mut(&name) else { return false };
            let removed = remove(member, rest);
            if removed && is_empty(member) {
                members.shift_remove(&name);
            }
            removed
        }
        ('[', Value::Array(items)) => {
            let Some((selector, rest)) = selector(field) else { return false };
            let Some(index) = position(items, selector) else { return false };
            if rest.is_empty() {
                items.remove(index);
                return true;
            }
            remove(&mut items[index], rest)
        }
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The text between brackets and the rest after them. Brackets in quotes do not count.
fn selector(field: &str) -> Option<(&str, &str)> {
    let inner = field.strip_prefix('[')?;
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&inner[..index], &inner[index + 1..])),
            _ => {}
        }
    }
    None
}

/// The index of the item that a selector matches by keys, by value or by index.
fn position(items: &[Value], selector: &str) -> Option<usize> {
    if let Ok(index) = selector.parse::<usize>() {
        return (index < items.len()).then_some(index);
    }
    if let Some(value) = selector.strip_prefix('=') {
        let value: Value = serde_json::from_str(value).ok()?;
        return items.iter().position(|item| *item == value);
    }
    let keys = keys(selector)?;
    items.iter().position(|item| {
        // A key that is missing in the item has its default.
        keys.iter().all(|(name, value)| item.get(name).is_none_or(|found| found == value))
            && keys.iter().any(|(name, _)| item.get(name).is_some())
    })
}

/// `containerPort=8000,protocol="TCP"`
fn keys(selector: &str) -> Option<Vec<(&str, Value)>> {
    let mut keys = Vec::new();
    let mut rest = selector;
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<Value>();
        keys.push((name, values.next()?.ok()?));
        rest = value[values.byte_offset()..].trim_start_matches(',');
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pattern(text: &str) -> FieldPattern {
        text.parse().unwrap()
    }

    fn web() -> ObjectRef {
        ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        }
    }

    #[test]
    fn a_pattern_matches_fields_and_the_fields_below_them() {
        let image = ".spec.template.spec.containers[name=\"web\"].image";
        for (text, names) in [
            (image, true),
            (".spec.template", true),
            ("Deployment/web:.spec.template.spec.containers", true),
            ("Deployment/*:.spec", true),
            ("*/web:.spec.template.spec.containers[*].image", true),
            (".spec.temp", false),
            ("Deployment/worker:.spec", false),
            ("Service/web:.spec", false),
            (".spec.replicas", false),
        ] {
            assert_eq!(pattern(text).names(&web(), image), names, "{text}");
            assert_eq!(pattern(text).to_string(), text);
        }
        assert!(FieldPattern::of(&web(), image).names(&web(), image));
    }

    #[test]
    fn a_malformed_pattern_is_refused() {
        for text in ["", ".", "spec.replicas", "Deployment:.spec", "/web:.spec", "Deployment/web"] {
            assert!(text.parse::<FieldPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn fields_are_found_in_the_notation_of_the_api_server() {
        let object = json!({
            "metadata": { "labels": { "app.kubernetes.io/name": "web", "app": "x" }, "finalizers": ["a.b/c"] },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [
                { "name": "proxy]\"", "image": "proxy:1" },
                { "name": "web", "image": "web:1", "ports": [{ "containerPort": 8000 }], "args": ["a", "b"],
                  "env": [{ "name": "A", "value": "1" }] },
            ] } } },
        });
        for (path, pointer) in [
            (".spec.replicas", "/spec/replicas"),
            (".metadata.labels.app.kubernetes.io/name", "/metadata/labels/app.kubernetes.io~1name"),
            (".metadata.finalizers[=\"a.b/c\"]", "/metadata/finalizers"),
            (
                ".spec.template.spec.containers[name=\"web\"].image",
                "/spec/template/spec/containers/1/image",
            ),
            (
                ".spec.template.spec.containers[name=\"proxy]\\\"\"].image",
                "/spec/template/spec/containers/0/image",
            ),
            (
                ".spec.template.spec.containers[name=\"web\"].ports[containerPort=8000,protocol=\"TCP\"].containerPort",
                "/spec/template/spec/containers/1/ports/0/containerPort",
            ),
            (
                ".spec.template.spec.containers[name=\"web\"].env[name=\"A\"]",
                "/spec/template/spec/containers/1/env",
            ),
            (
                ".spec.template.spec.containers[name=\"web\"].args[1]",
                "/spec/template/spec/containers/1/args/1",
            ),
        ] {
            let mut without = object.clone();
            assert!(object.pointer(pointer).is_some(), "{pointer}");
            assert!(remove(&mut without, path), "{path}");
            assert_eq!(without.pointer(pointer), None, "{path}");
        }
        for path in [
            ".spec.paused",
            ".spec.template.spec.containers[name=\"b\"]",
            ".spec[0]",
            "",
            ".metadata.labels.app.x",
        ] {
            let mut same = object.clone();
            assert!(!remove(&mut same, path), "{path}");
            assert_eq!(same, object);
        }
    }
}
