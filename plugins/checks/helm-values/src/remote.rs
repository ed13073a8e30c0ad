//! References that lead out of the schema's own file.

use crate::SCHEMA_FILE;
use serde_json::Value;
use todohost_plugin::Finding;

/// One finding for each `$ref` that is not inside the document.
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
                                format!("the schema refers to {target}, which is never fetched"),
                            )
                            .help("copy the referred schema under definitions and refer to #/definitions/NAME")
                            .file(SCHEMA_FILE)
                            .pointer(pointer),
                        );
                    }
                    // An example or a default may look like anything.
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
