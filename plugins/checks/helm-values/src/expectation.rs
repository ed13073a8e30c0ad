//! Describes a schema violation: the expected value and the type of the actual one, never the value itself.

use crate::layers;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;
use todohost_plugin::Finding;
use todohost_plugin::subject::Values;

/// The finding for a schema violation.
pub fn finding(error: &ValidationError<'_>, values: &Values) -> Finding {
    let mut pointer = error.instance_path().to_string();
    // The finding for a missing property points to the property, not to its parent.
    if let ValidationErrorKind::Required { property } = error.kind() {
        pointer = format!("{pointer}/{}", property.as_str().unwrap_or_default());
    }
    let path = layers::dotted(&pointer);
    let got = values.effective.pointer(&pointer);
    let name = if path.is_empty() { "the values" } else { path.as_str() };
    let source = layers::source(values, &pointer).unwrap_or_else(|| "nothing".to_owned());
    let message = match got {
        Some(value) => {
            format!("{name}: expected {}, got {}, set by {source}", expected(error), kind_of(value))
        }
        None => format!("{name}: expected {}, but it is not set", expected(error)),
    };
    let finding = Finding::failed("helm-values.schema", message).pointer(pointer);
    let finding = match layers::file(values, &finding) {
        Some(file) => finding.file(file),
        None => finding,
    };
    finding.help(format!("set it with --set {name}=... or in a values file"))
}

fn expected(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Required { .. } => "a value".to_owned(),
        ValidationErrorKind::Type { kind: TypeKind::Single(one) } => article(*one).to_owned(),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(several) } => {
            several.iter().map(article).collect::<Vec<_>>().join(" or ")
        }
        ValidationErrorKind::Enum { options } => format!("one of {options}"),
        ValidationErrorKind::Constant { expected_value } => expected_value.to_string(),
        ValidationErrorKind::Pattern { pattern } => format!("text that matches {pattern}"),
        ValidationErrorKind::Format { format } => format!("text in the format {format}"),
        ValidationErrorKind::MinLength { limit } => format!("text of at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("text of at most {limit} characters"),
        ValidationErrorKind::Minimum { limit } => format!("at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        ValidationErrorKind::MinItems { limit } => format!("a list of at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("a list of at most {limit} items"),
        ValidationErrorKind::UniqueItems => "a list without duplicates".to_owned(),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("no key {}", unexpected.join(", "))
        }
        ValidationErrorKind::FalseSchema => "no value".to_owned(),
        _ => format!("a value that matches the schema at {}", error.schema_path()),
    }
}

fn article(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "a string",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty string",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
