//! Finds required secrets without a value.

use crate::layers;
use serde_json::Value;
use todohost_plugin::Finding;
use todohost_plugin::subject::Values;

/// One finding for each required secret without a value.
pub fn missing(values: &Values) -> Vec<Finding> {
    values
        .secrets
        .iter()
        .filter(|(_, secret)| secret.required)
        .filter(|(path, _)| is_empty(values.effective.pointer(&layers::pointer(path))))
        .map(|(path, _)| {
            Finding::failed(
                "helm-values.required-secret",
                format!("the secret {path} is required but has no value"),
            )
            .help(format!("add --secret {path}=env:VARIABLE or --secret {path}=prompt:"))
            .pointer(layers::pointer(path))
        })
        .collect()
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}
