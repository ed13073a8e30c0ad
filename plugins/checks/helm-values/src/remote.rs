//! Finds references of the schema to other documents.

use crate::SCHEMA_FILE;
use serde_json::Value;
use todohost_plugin::Finding;

/// One finding for each reference to another document.
pub fn references(schema: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

fn walk(value: &Value, pointer: &str, found: &mut Vec<Finding>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (key.as_str(), inner) {
                    ("$ref" | "$dynamicRef", Value::String(target)) if !target.starts_with('#') => {
                        found.push(
                            Finding::failed(
                                "helm-values.remote-ref",
                                format!("the schema refers to {target}; other documents are not fetched"),
                            )
                            .help("copy that schema under definitions and refer to #/definitions/NAME")
                            .file(SCHEMA_FILE)
                            .pointer(pointer),
                        );
                    }
                    // Examples and defaults are data, not schemas.
                    ("default" | "examples" | "const" | "enum", _) => {}
                    _ => walk(inner, &pointer, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                walk(inner, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}
