//! The table of the Todo chart's values, from the chart's schema, its defaults and the project's secrets.

use super::{DocumentsError, cell, malformed};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) const SCHEMA: &str = "helm/todo-app/values.schema.json";
pub(super) const DEFAULTS: &str = "helm/todo-app/values.yaml";
pub(super) const PROJECT: &str = "todohost.toml";

/// The table, from the texts of the three files.
pub(super) fn table(schema: &str, defaults: &str, project: &str) -> Result<String, DocumentsError> {
    Values::parse(schema, defaults, project)?.table()
}

struct Values {
    schema: Value,
    defaults: Value,
    secrets: BTreeMap<String, Secret>,
}

/// The part of the project file that lists the secrets.
#[derive(Deserialize)]
struct Project {
    secrets: BTreeMap<String, Secret>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    required: bool,
}

impl Values {
    fn parse(schema: &str, defaults: &str, project: &str) -> Result<Self, DocumentsError> {
        let schema =
            serde_json::from_str(schema).map_err(|error| malformed(SCHEMA, &error.to_string()))?;
        let defaults = serde_saphyr::from_str(defaults)
            .map_err(|error| malformed(DEFAULTS, &error.to_string()))?;
        let project: Project =
            toml::from_str(project).map_err(|error| malformed(PROJECT, error.message()))?;
        Ok(Self { schema, defaults, secrets: project.secrets })
    }

    fn table(&self) -> Result<String, DocumentsError> {
        let mut table = "| value | type | default | description |\n|---|---|---|---|\n".to_owned();
        self.rows(&self.schema, "", &mut table)?;
        Ok(table)
    }

    /// Adds a row for each property, followed by the rows of its own properties. `above` is a JSON pointer.
    fn rows(&self, schema: &Value, above: &str, table: &mut String) -> Result<(), DocumentsError> {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let pointer = format!("{above}/{name}");
            let path = pointer[1..].replace('/', ".");
            let definition = self.definition(property)?;
            let meaning = [property, definition]
                .iter()
                .find_map(|schema| schema["description"].as_str())
                .ok_or_else(|| malformed(SCHEMA, &format!("{path} has no description")))?;
            let default = match self.defaults.pointer(&pointer) {
                Some(default) if definition["properties"].is_null() => format!("`{default}`"),
                _ => String::new(),
            };
            let cells =
                [format!("`{path}`"), self.kind(&path, definition), default, meaning.to_owned()];
            // writing to a String cannot fail
            let _ = writeln!(table, "| {} |", cells.map(|text| cell(&text)).join(" | "));
            self.rows(definition, &pointer, table)?;
        }
        Ok(())
    }

    /// The definition that a property refers to, or the property itself.
    fn definition<'a>(&'a self, property: &'a Value) -> Result<&'a Value, DocumentsError> {
        let Some(reference) = property["$ref"].as_str() else { return Ok(property) };
        let found = reference.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
        found.ok_or_else(|| malformed(SCHEMA, &format!("{reference} is not defined")))
    }

    /// The type and limits of a value, in words.
    fn kind(&self, path: &str, schema: &Value) -> String {
        let mut words: Vec<String> = Vec::new();
        match self.secrets.get(path) {
            Some(Secret { required: true }) => words.push("**secret**, required".to_owned()),
            Some(Secret { required: false }) => words.push("**secret**".to_owned()),
            None => {}
        }
        words.extend(schema["type"].as_str().map(str::to_owned));
        if let Some(choices) = schema["enum"].as_array() {
            let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
            words.push(format!("one of {}", choices.join(", ")));
        }
        match (&schema["minimum"], &schema["maximum"]) {
            (Value::Null, Value::Null) => {}
            (least, Value::Null) => words.push(format!("{least} or more")),
            (Value::Null, most) => words.push(format!("{most} or less")),
            (least, most) => words.push(format!("{least} to {most}")),
        }
        if let Some(most) = schema["maxLength"].as_u64() {
            words.push(format!("at most {most} characters"));
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r##"{
        "properties": {
            "key": { "description": "Opens a|b.", "type": "string", "maxLength": 9 },
            "web": { "description": "The server.", "$ref": "#/definitions/server" }
        },
        "definitions": {
            "server": {
                "description": "Any server.",
                "type": "object",
                "properties": {
                    "count": { "description": "How many.", "type": "integer", "minimum": 0 },
                    "port": { "description": "Where.", "type": "integer", "minimum": 1, "maximum": 9 },
                    "pull": { "$ref": "#/definitions/pull" },
                    "limits": { "description": "Amounts.", "type": "object" }
                }
            },
            "pull": { "description": "When.", "type": "string", "enum": ["Always", "Never"] }
        }
    }"##;
    const SMALL_DEFAULTS: &str =
        "key: \"\"\nweb:\n  count: 1\n  pull: Never\n  limits: {cpu: \"1\"}\n";

    fn table(schema: &str) -> Result<String, DocumentsError> {
        super::table(schema, SMALL_DEFAULTS, "[secrets]\nkey = { required = true }")
    }

    #[test]
    fn each_value_has_a_row() {
        let expected = "\
| value | type | default | description |
|---|---|---|---|
| `key` | **secret**, required, string, at most 9 characters | `\"\"` | Opens a\\|b. |
| `web` | object |  | The server. |
| `web.count` | integer, 0 or more | `1` | How many. |
| `web.port` | integer, 1 to 9 |  | Where. |
| `web.pull` | string, one of Always, Never | `\"Never\"` | When. |
| `web.limits` | object | `{\"cpu\":\"1\"}` | Amounts. |
";
        assert_eq!(table(SMALL).unwrap(), expected);
    }

    #[test]
    fn value_without_description_or_definition_is_an_error() {
        let error = table(&SMALL.replace("\"description\": \"When.\", ", "")).unwrap_err();
        assert!(error.to_string().ends_with("web.pull has no description"), "{error}");
        let error = table(&SMALL.replace("#/definitions/pull", "#/definitions/push")).unwrap_err();
        assert!(error.to_string().ends_with("#/definitions/push is not defined"), "{error}");
    }
}
