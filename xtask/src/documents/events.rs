//! The reference of the JSON events: a section for each event and each type in it, from the published schema.

use super::{DocumentsError, cell, malformed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) const SCHEMA: &str = "docs/events.schema.json";

/// The sections, from the text of the schema.
pub(super) fn sections(schema: &str) -> Result<String, DocumentsError> {
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| malformed(SCHEMA, &error.to_string()))?;
    let mut text = "## All events\n\n".to_owned();
    fields("event", &schema, &mut text)?;
    let events = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The section of an event describes the fields of these types.
    let mut merged = BTreeSet::new();
    for event in events {
        let name = event["properties"]["event"]["const"].as_str();
        let name = name.ok_or_else(|| malformed(SCHEMA, "an event does not have a name"))?;
        // writing to a String cannot fail
        let _ = writeln!(text, "## `{name}`\n\n{}\n", meaning(name, event)?);
        match event["$ref"].as_str() {
            Some(reference) => {
                merged.insert(reference);
                fields(name, definition(&schema, reference)?, &mut text)?;
            }
            None => fields(name, event, &mut text)?,
        }
    }
    text += "## Types\n\n";
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        if merged.contains(format!("#/$defs/{name}").as_str()) {
            continue;
        }
        let _ = writeln!(text, "### {name}\n\n{}\n", meaning(name, definition)?);
        let choices = definition["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        if choices.is_empty() {
            fields(name, definition, &mut text)?;
        } else {
            text += "| value | description |\n|---|---|\n";
            for choice in choices {
                let value = choice["const"].as_str().unwrap_or_default();
                let meaning = meaning(&format!("{name} {value}"), choice)?;
                let _ = writeln!(text, "| `\"{value}\"` | {} |", cell(&meaning));
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// A table of the fields of an object; the field `event` is left out, since it is the title.
fn fields(name: &str, object: &Value, text: &mut String) -> Result<(), DocumentsError> {
    let properties: Vec<_> = object["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| *field != "event")
        .collect();
    if properties.is_empty() {
        return Ok(());
    }
    *text += "| field | type | description |\n|---|---|---|\n";
    for (field, property) in properties {
        let required = object["required"].as_array().into_iter().flatten().any(|one| one == field);
        let kind = kind(property);
        // An absent field stands for null.
        let kind = if required {
            kind
        } else {
            format!("{}, optional", kind.trim_end_matches(" or null"))
        };
        let cells = [format!("`{field}`"), kind, meaning(&format!("{name}.{field}"), property)?];
        // writing to a String cannot fail
        let _ = writeln!(text, "| {} |", cells.map(|text| cell(&text)).join(" | "));
    }
    text.push('\n');
    Ok(())
}

fn definition<'a>(schema: &'a Value, reference: &str) -> Result<&'a Value, DocumentsError> {
    let found = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
    found.ok_or_else(|| malformed(SCHEMA, &format!("{reference} is not defined")))
}

/// The type of a field, in words; types of this page are links.
fn kind(property: &Value) -> String {
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(choices) = property["anyOf"].as_array() {
        let kinds: Vec<_> = choices.iter().map(kind).collect();
        return kinds.join(" or ");
    }
    match &property["type"] {
        Value::String(name) if name == "array" => format!("array of {}", kind(&property["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn meaning(place: &str, property: &Value) -> Result<String, DocumentsError> {
    let text = property["description"].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| malformed(SCHEMA, &format!("{place} does not have a description")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r##"{
        "properties": { "at_ms": { "description": "When.", "type": "integer" } },
        "required": ["at_ms"],
        "oneOf": [
            {
                "description": "The run began.",
                "properties": {
                    "event": { "const": "run-started" },
                    "names": { "description": "All a|b.", "type": "array", "items": { "type": "string" } }
                },
                "required": ["event", "names"]
            },
            {
                "description": "A judgement.",
                "$ref": "#/$defs/Finding",
                "properties": { "event": { "const": "finding" } }
            }
        ],
        "$defs": {
            "Finding": {
                "description": "A judgement.",
                "properties": { "outcome": { "description": "The result.", "$ref": "#/$defs/Outcome" } }
            },
            "Outcome": {
                "description": "A result.",
                "oneOf": [{ "const": "passed", "description": "Good." }]
            }
        }
    }"##;

    #[test]
    fn each_event_has_a_section_and_each_type_once() {
        let expected = "\
## All events

| field | type | description |
|---|---|---|
| `at_ms` | integer | When. |

## `run-started`

The run began.

| field | type | description |
|---|---|---|
| `names` | array of string | All a\\|b. |

## `finding`

A judgement.

| field | type | description |
|---|---|---|
| `outcome` | [Outcome](#outcome), optional | The result. |

## Types

### Outcome

A result.

| value | description |
|---|---|
| `\"passed\"` | Good. |

";
        assert_eq!(sections(SMALL).unwrap(), expected);
    }

    #[test]
    fn a_field_without_a_description_is_refused() {
        let error = sections(&SMALL.replace("\"description\": \"When.\",", "")).unwrap_err();
        assert!(error.to_string().ends_with("event.at_ms does not have a description"), "{error}");
    }
}
