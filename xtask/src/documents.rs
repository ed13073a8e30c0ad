//! Generates the table of the chart's values in `docs/contracts/helm-values.md`.
//!
//! Owns the text between the markers; the rest of the document is written by hand.

use crate::workspace::{Workspace, WorkspaceError};
use miette::Diagnostic;
use serde::Deserialize;
use serde_json::Value;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

const DOCUMENT: &str = "docs/contracts/helm-values.md";
const SCHEMA: &str = "helm/todo-app/values.schema.json";
const DEFAULTS: &str = "helm/todo-app/values.yaml";
const PROJECT: &str = "todohost.toml";
const BEGIN: &str = "<!-- begin: written by `cargo run -p xtask -- documents` -->\n";
const END: &str = "<!-- end -->\n";

/// Errors of generating or checking the document.
#[derive(Debug, Error, Diagnostic)]
pub enum DocumentsError {
    /// A file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(xtask::documents::file))]
    File(#[from] std::io::Error),
    /// The workspace cannot be found.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A source of the document is malformed.
    #[error("cannot use {file}: {reason}")]
    #[diagnostic(code(xtask::documents::malformed), help("correct {file}"))]
    Malformed {
        /// Path of the source.
        file: &'static str,
        /// Defect of the source.
        reason: String,
    },
    /// The document has no markers for the table.
    #[error("{DOCUMENT} has no markers for the table")]
    #[diagnostic(
        code(xtask::documents::markers),
        help("put these two lines around it: {} {}", BEGIN.trim(), END.trim())
    )]
    Markers,
    /// The document is out of date.
    #[error("{DOCUMENT} is out of date with {SCHEMA}, {DEFAULTS} and {PROJECT}:\n{difference}")]
    #[diagnostic(code(xtask::documents::stale), help("run `cargo run -p xtask -- documents`"))]
    Stale {
        /// Unified diff of the document.
        difference: String,
    },
}

/// Writes the document. With `check`, writes nothing and fails if the document is out of date.
pub fn make(check: bool) -> Result<(), DocumentsError> {
    let workspace = Workspace::find()?;
    let read = |file: &str| fs_err::read_to_string(workspace.root().join(file));
    let values = Values::parse(&read(SCHEMA)?, &read(DEFAULTS)?, &read(PROJECT)?)?;
    let old = read(DOCUMENT)?;
    let new = with_table(&old, &values.table()?).ok_or(DocumentsError::Markers)?;
    if old == new {
        println!("{DOCUMENT} is up to date");
        return Ok(());
    }
    if check {
        let difference =
            TextDiff::from_lines(&old, &new).unified_diff().context_radius(0).to_string();
        return Err(DocumentsError::Stale { difference });
    }
    fs_err::write(workspace.root().join(DOCUMENT), new)?;
    println!("wrote {DOCUMENT}");
    Ok(())
}

/// Replaces the text between the markers by a table. `None` without markers.
fn with_table(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// Sources of the table.
struct Values {
    schema: Value,
    defaults: Value,
    secrets: BTreeMap<String, Secret>,
}

/// The secrets in `todohost.toml`.
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
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
            // Writing to a String cannot fail.
            let _ = writeln!(table, "| {} |", cells.join(" | "));
            self.rows(definition, &pointer, table)?;
        }
        Ok(())
    }

    /// The definition to which a property refers, or the property.
    fn definition<'a>(&'a self, property: &'a Value) -> Result<&'a Value, DocumentsError> {
        let Some(reference) = property["$ref"].as_str() else { return Ok(property) };
        let found = reference.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
        found.ok_or_else(|| malformed(SCHEMA, &format!("{reference} is not defined")))
    }

    /// Describes the type and the limits of a value.
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

fn malformed(file: &'static str, reason: &str) -> DocumentsError {
    DocumentsError::Malformed { file, reason: reason.to_owned() }
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
        Values::parse(schema, SMALL_DEFAULTS, "[secrets]\nkey = { required = true }")?.table()
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

    #[test]
    fn only_text_between_the_markers_changes() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let new = with_table(&document, "new").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}after\n"));
        assert_eq!(with_table(&new, "new").unwrap(), new);
        assert_eq!(with_table("no markers\n", "new"), None);
    }
}
