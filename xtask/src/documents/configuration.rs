//! The reference of `todohost.toml`: a section for each table with its keys, from the published schema.

use super::{DocumentsError, cell, malformed};
use serde_json::Value;
use std::fmt::Write as _;

pub(super) const SCHEMA: &str = "docs/todohost.schema.json";

/// The sections, from the text of the schema.
pub(super) fn sections(schema: &str) -> Result<String, DocumentsError> {
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| malformed(SCHEMA, &error.to_string()))?;
    let mut text = String::new();
    for (name, property) in entries(&schema) {
        let table = definition(&schema, property)?;
        let (title, table) = match table["additionalProperties"].as_object() {
            Some(_) => {
                let each = definition(&schema, &table["additionalProperties"])?;
                (format!("[{name}.NAME]"), each)
            }
            None => (format!("[{name}]"), table),
        };
        // writing to a String cannot fail
        let _ = writeln!(text, "## `{title}`\n\n{}\n", meaning(name, property)?);
        text += "| key | type | default | description |\n|---|---|---|---|\n";
        for (key, property) in entries(table) {
            let is_required =
                table["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
            let kind = kind(&schema, property)?;
            let cells = [
                format!("`{key}`"),
                if is_required { format!("{kind}, **required**") } else { kind },
                default(property),
                meaning(&format!("{name}.{key}"), property)?,
            ];
            let _ = writeln!(text, "| {} |", cells.map(|text| cell(&text)).join(" | "));
        }
        text.push('\n');
    }
    Ok(text)
}

/// The properties of an object's schema, in their order.
fn entries(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The definition that a property refers to, or the property itself; an optional one counts as present.
fn definition<'a>(schema: &'a Value, property: &'a Value) -> Result<&'a Value, DocumentsError> {
    if let Some(reference) = property["$ref"].as_str() {
        let found = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
        return found.ok_or_else(|| malformed(SCHEMA, &format!("{reference} is not defined")));
    }
    let choices: Vec<_> = property["anyOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["type"] != "null")
        .collect();
    match choices[..] {
        [choice] => definition(schema, choice),
        _ => Ok(property),
    }
}

/// The type of a key, in words.
fn kind(schema: &Value, property: &Value) -> Result<String, DocumentsError> {
    let property = definition(schema, property)?;
    if let Some(choices) = property["anyOf"].as_array() {
        let kinds: Result<Vec<_>, _> = choices.iter().map(|choice| kind(schema, choice)).collect();
        return Ok(kinds?.join(" or "));
    }
    let name = match &property["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    };
    Ok(match name {
        "string" => match property["examples"].as_array() {
            Some(examples) => {
                let examples: Vec<_> =
                    examples.iter().map(|example| format!("`{example}`")).collect();
                format!("string, e.g. {}", examples.join(", "))
            }
            None => "string".to_owned(),
        },
        "array" => format!("array of {}", kind(schema, &property["items"])?),
        "object" => {
            let keys: Vec<_> = entries(property).map(|(key, _)| format!("`{key}`")).collect();
            let values = &property["additionalProperties"];
            match values.as_object() {
                Some(_) => format!("table of {}", kind(schema, values)?),
                None => format!("table with {}", keys.join(", ")),
            }
        }
        "" => "table".to_owned(),
        other => other.to_owned(),
    })
}

/// The default of a key as it would be written, if it has one.
fn default(property: &Value) -> String {
    match &property["default"] {
        Value::Null => String::new(),
        value => format!("`{value}`"),
    }
}

fn meaning(key: &str, property: &Value) -> Result<String, DocumentsError> {
    let text = property["description"].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| malformed(SCHEMA, &format!("{key} does not have a description")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r##"{
        "properties": {
            "app": { "description": "The app.", "$ref": "#/$defs/App" },
            "images": {
                "description": "Images by name.",
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/Image" }
            }
        },
        "$defs": {
            "App": {
                "required": ["name"],
                "properties": {
                    "name": { "description": "Its a|b name.", "type": "string" },
                    "limit": {
                        "description": "A time.",
                        "anyOf": [{ "$ref": "#/$defs/Time" }, { "type": "null" }]
                    },
                    "files": { "description": "Files.", "type": "array", "items": { "type": "string" }, "default": [] }
                }
            },
            "Time": { "type": "string", "examples": ["5m"] },
            "Image": {
                "properties": {
                    "plugin": {
                        "description": "The builder.",
                        "anyOf": [{ "type": "string" }, { "type": "object", "properties": { "options": {} } }]
                    }
                }
            }
        }
    }"##;

    #[test]
    fn each_key_has_a_row() {
        let expected = "\
## `[app]`

The app.

| key | type | default | description |
|---|---|---|---|
| `name` | string, **required** |  | Its a\\|b name. |
| `limit` | string, e.g. `\"5m\"` |  | A time. |
| `files` | array of string | `[]` | Files. |

## `[images.NAME]`

Images by name.

| key | type | default | description |
|---|---|---|---|
| `plugin` | string or table with `options` |  | The builder. |

";
        assert_eq!(sections(SMALL).unwrap(), expected);
    }

    #[test]
    fn a_key_without_a_description_is_refused() {
        let error = sections(&SMALL.replace("\"description\": \"A time.\",", "")).unwrap_err();
        assert!(error.to_string().ends_with("app.limit does not have a description"), "{error}");
    }
}
