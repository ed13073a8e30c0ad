//! The check `helm-values`: validates the chart's values before images are built.
//!
//! The check sees the real values, secrets included. Therefore it has no other capability, and its findings never
//! contain a value. Each finding names the path, the expectation, and the file or argument that sets the value.

mod expectation;
mod layers;
mod remote;
mod secrets;

use jsonschema::Draft;
use serde_json::Value;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::{Subject, Values};
use todohost_plugin::{Check, Finding, NoOptions, Result};
// Installs the host as the source of random numbers, which the hash tables of the schema library need.
use todohost_randomness as _;

struct HelmValues;

impl Check for HelmValues {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        vec![CheckSpec::new("values", "The values match the chart's schema", [Phase::Values])]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        Ok(check(&subject.values()?))
    }
}

todohost_plugin::export!(HelmValues: check);

const SCHEMA_FILE: &str = "values.schema.json";

/// All failures, or one passed finding if there are none.
fn check(values: &Values) -> Vec<Finding> {
    let mut findings = secrets::missing(values);
    match &values.schema {
        Some(text) => findings.extend(against_schema(text, values, &findings)),
        None if findings.is_empty() => {
            return vec![Finding::passed(
                "helm-values.no-schema",
                "the chart has no values.schema.json; all required secrets are set",
            )];
        }
        None => {}
    }
    if findings.is_empty() {
        findings.push(Finding::passed("helm-values.schema", "the values match values.schema.json"));
    }
    findings
}

fn against_schema(text: &str, values: &Values, already: &[Finding]) -> Vec<Finding> {
    let schema: Value = match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(error) => return vec![broken(format!("{SCHEMA_FILE} is not valid JSON: {error}"))],
    };
    // Fetching remote references would let a schema choose the server.
    let remote = remote::references(&schema);
    if !remote.is_empty() {
        return remote;
    }
    // Like in Helm, the default is draft 7.
    let mut options = jsonschema::options();
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft7);
    }
    let validator = match options.build(&schema) {
        Ok(validator) => validator,
        Err(error) => return vec![broken(error.to_string())],
    };
    let mut findings: Vec<Finding> = validator
        .iter_errors(&values.effective)
        .map(|error| expectation::finding(&error, values))
        .collect();
    // A missing secret that the schema also requires is reported once.
    findings.retain(|finding| already.iter().all(|other| other.pointer != finding.pointer));
    findings.sort_by(|left, right| {
        left.pointer.cmp(&right.pointer).then(left.message.cmp(&right.message))
    });
    findings.dedup();
    findings
}

fn broken(message: String) -> Finding {
    Finding::failed("helm-values.schema-broken", message)
        .help("correct the chart's values.schema.json")
        .file(SCHEMA_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(schema: &Value, layers: &Value, effective: &Value) -> Values {
        Subject::new(
            &json!({"schema": schema.to_string(), "defaults": {"replicas": 1}, "layers": layers,
                "effective": effective, "secrets": {"secrets.key": {"required": true}}})
            .to_string(),
        )
        .unwrap()
        .values()
        .unwrap()
    }

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "replicas": {"type": "integer", "minimum": 1},
            "secrets": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string", "pattern": "^sk-"}}},
            "policy": {"enum": ["Never", "Always"]}}})
    }

    #[test]
    fn matching_values_pass() {
        let found = check(&values(
            &schema(),
            &json!([]),
            &json!({"replicas": 2, "secrets": {"key": "sk-1"}}),
        ));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "helm-values.schema");
    }

    #[test]
    fn wrong_type_is_reported_with_path_expectation_and_source() {
        let layers = json!([{"source": "prod.yaml", "values": {"replicas": 2}},
            {"source": "--set replicas=two", "values": {"replicas": "two"}}]);
        let found = check(&values(
            &schema(),
            &layers,
            &json!({"replicas": "two", "secrets": {"key": "sk-1"}}),
        ));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pointer.as_deref(), Some("/replicas"));
        assert_eq!(
            found[0].message,
            "replicas: expected an integer, got a string, set by --set replicas=two"
        );
    }

    #[test]
    fn chart_default_is_named_as_the_source() {
        let found = check(&values(
            &schema(),
            &json!([]),
            &json!({"replicas": 0, "secrets": {"key": "sk-1"}}),
        ));
        assert_eq!(
            found[0].message,
            "replicas: expected at least 1, got a number, set by the chart's values.yaml"
        );
    }

    #[test]
    fn findings_contain_no_secret_values() {
        let layers =
            json!([{"source": "--set secrets.key=…", "values": {"secrets": {"key": "canary"}}}]);
        let found = check(&values(
            &schema(),
            &layers,
            &json!({"replicas": 1, "secrets": {"key": "canary"}}),
        ));
        assert_eq!(found.len(), 1);
        let whole = format!("{found:?}");
        assert!(!whole.contains("canary"), "{whole}");
        assert!(found[0].message.starts_with("secrets.key: expected text that matches ^sk-"));
    }

    #[test]
    fn missing_secret_is_one_finding() {
        for effective in
            [json!({"replicas": 1}), json!({"secrets": {}}), json!({"secrets": {"key": ""}})]
        {
            let found = check(&values(&schema(), &json!([]), &effective));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].code, "helm-values.required-secret");
        }
    }

    #[test]
    fn remote_reference_is_reported_and_not_fetched() {
        let remote = json!({"properties": {"a": {"$ref": "https://example.com/schema.json"}}});
        let found = check(&values(&remote, &json!([]), &json!({"secrets": {"key": "sk-1"}})));
        assert_eq!(found[0].code, "helm-values.remote-ref");
        assert_eq!(found[0].pointer.as_deref(), Some("/properties/a/$ref"));
    }

    #[test]
    fn local_reference_is_resolved() {
        let local = json!({"properties": {"replicas": {"$ref": "#/definitions/count"}},
            "definitions": {"count": {"type": "integer"}}});
        let found =
            check(&values(&local, &json!([]), &json!({"replicas": "x", "secrets": {"key": "k"}})));
        assert!(found[0].message.starts_with("replicas: expected an integer, got a string"));
    }

    #[test]
    fn invalid_schema_is_a_finding() {
        let found = check(&values(
            &json!({"type": "nonsense"}),
            &json!([]),
            &json!({"secrets": {"key": "k"}}),
        ));
        assert_eq!(found[0].code, "helm-values.schema-broken");
    }
}
