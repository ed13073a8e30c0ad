//! Uses of secrets in charts, each as two renders of the same small template.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{Salt, SecretValue};

type Transform = fn(&str) -> String;

const URL: &str = "postgresql://todo:p%40ss@db:5432/todo";

fn vault() -> Vault {
    let vault = Vault::new(Salt::from_bytes([9; 32]));
    vault.insert("secrets.databaseUrl", SecretValue::new(URL.to_owned()));
    vault.insert(
        "secrets.jwtSecret",
        SecretValue::new("0123456789abcdef0123456789abcdef".to_owned()),
    );
    vault.insert("secrets.empty", SecretValue::new(String::new()));
    vault
}

/// Both renders of a template: a function from the database placeholder and the JWT placeholder to objects.
fn judge(template: impl Fn(&str, &str) -> Vec<Object>) -> Result<Vec<Object>, Vec<SecretFinding>> {
    let vault = vault();
    let render = |nonce| {
        let form = |path| vault.placeholder(path, nonce).unwrap();
        template(&form("secrets.databaseUrl"), &form("secrets.jwtSecret"))
    };
    let (first, second) = (render(Nonce::First), render(Nonce::Second));
    let result = vault.compare(&first, &second);
    if let Ok(objects) = &result {
        assert_eq!(objects, &first, "the canonical output is the first render");
    }
    result
}

fn secret(data: &Value) -> Object {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "app" }, "data": data })
}

fn text_secret(data: &Value) -> Object {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "app" }, "stringData": data })
}

fn deployment(annotations: &Value, env: &str) -> Object {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "api" },
        "spec": { "template": { "metadata": { "annotations": annotations }, "spec": { "containers": [
            { "name": "api", "env": [{ "name": "DATABASE_URL", "value": env }] }
        ] } } }
    })
}

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn sha256(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The only finding of a template that breaks the rule.
fn fault(template: impl Fn(&str, &str) -> Vec<Object>) -> SecretFinding {
    let mut findings = judge(template).expect_err("the rule is broken");
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[test]
fn whole_values_in_secrets_pass_however_they_are_embedded() {
    judge(|database, jwt| {
        vec![
            secret(&json!({
                "DATABASE_URL": b64(database),
                "BOTH": b64(&format!("a={database}\nb={jwt}\nc={database}")),
                "config.json": b64(&json!({ "database": { "url": database }, "keys": [jwt] }).to_string()),
                "EMPTY": "",
                "FIXED": b64("fixed"),
            })),
            text_secret(&json!({ "JWT": jwt, "ini": format!("[app]\nkey = {jwt}\n"), "EMPTY": "" })),
            deployment(&json!({}), "plain"),
        ]
    })
    .expect("nothing is broken");
}

#[test]
fn checksum_annotations_pass_and_change_exactly_with_the_secret() {
    let template = |database: &str, _: &str| {
        let secret = secret(&json!({ "DATABASE_URL": b64(database) }));
        let sum = sha256(&secret.to_string());
        vec![
            deployment(
                &json!({ "checksum/secret": sum, "short": sum[..12].to_owned(), "prefixed": format!("sha256:{sum}") }),
                "x",
            ),
            secret,
        ]
    };
    let one = judge(template).expect("a checksum is not a leak");
    assert_eq!(one, judge(template).expect("a checksum is not a leak"), "stable");

    let vault = vault();
    let changed = |path: &str, value: &str| {
        let vault = Vault::new(Salt::from_bytes([9; 32]));
        vault.insert("secrets.databaseUrl", SecretValue::new(URL.to_owned()));
        vault.insert(path, SecretValue::new(value.to_owned()));
        template(&vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap(), "")
    };
    assert_eq!(vault.paths().len(), 3);
    assert_eq!(changed("secrets.jwtSecret", "another")[0], one[0], "of another secret: no change");
    assert_ne!(changed("secrets.databaseUrl", "another")[0], one[0], "of this secret: a change");
}

#[test]
fn a_value_in_an_environment_variable_is_a_leak() {
    let finding = fault(|database, _| vec![deployment(&json!({}), database)]);
    assert_eq!(
        finding.to_string(),
        "secret secrets.databaseUrl leaks into Deployment/api env DATABASE_URL"
    );
    assert_eq!(finding.pointer, "/spec/template/spec/containers/0/env/0/value");
}

#[test]
fn leaks_are_found_under_encodings_and_inside_of_larger_text() {
    let config = |value: String| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "K": value } });
    let leaks: [Transform; 4] = [
        |text| format!("psql {text} -c 'select 1'"),
        b64,
        |text| b64(&b64(text)),
        |text| json!({ "a": text }).to_string(),
    ];
    for leak in leaks {
        let finding = fault(|_, jwt| vec![config(leak(jwt))]);
        assert_eq!(finding.to_string(), "secret secrets.jwtSecret leaks into ConfigMap/c data K");
    }
}

#[test]
fn leaks_into_names_keys_labels_and_annotations_are_found() {
    for object in [
        |text: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": text } }),
        |text: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { text: "x" } }),
        |text: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "labels": { "l": text } } }),
        |text: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "c", "annotations": { "l": text } } }),
        |text: &str| deployment(&json!({ "a": b64(text) }), "x"),
        |text: &str| deployment(&json!({ "a": hexadecimal(text.as_bytes()) }), "x"),
    ] {
        let findings = judge(|_, jwt| vec![object(jwt)]).expect_err("a leak");
        assert!(findings.iter().all(|finding| finding.fault == SecretFault::Leak), "{findings:?}");
        assert!(
            findings.iter().any(|finding| finding.path.as_deref() == Some("secrets.jwtSecret")),
            "{findings:?}"
        );
    }
}

#[test]
fn transformed_secrets_are_found() {
    let transforms: [(&str, Transform); 15] = [
        ("trunc 1", |text| text[..1].to_owned()),
        ("trunc 8", |text| text[..8].to_owned()),
        ("trunc 39", |text| text[..39].to_owned()),
        ("substr", |text| text[20..30].to_owned()),
        ("urlquery", query),
        ("urlquery in a URL", |text| format!("postgresql://u:{}@h/d", query(text))),
        ("upper", str::to_uppercase),
        ("lower", str::to_lowercase),
        ("reverse", |text| text.chars().rev().collect()),
        ("b64enc", b64),
        ("b64enc of a pair", |text| b64(&format!("user:{text}"))),
        ("sha256sum", sha256),
        ("replace", |text| text.replace(['/', '@'], "_")),
        ("splitList", |text| text.split('@').next().unwrap_or_default().to_owned()),
        ("dockerconfigjson", |text| {
            json!({ "auths": { "r": { "password": text, "auth": b64(&format!("u:{text}")) } } })
                .to_string()
        }),
    ];
    for (name, transform) in transforms {
        let in_data = fault(|_, jwt| vec![secret(&json!({ "K": b64(&transform(jwt)) }))]);
        assert_eq!(in_data.fault, SecretFault::Transform, "{name}");
        let in_text = fault(|_, jwt| vec![text_secret(&json!({ "K": transform(jwt) }))]);
        assert_eq!(in_text.fault, SecretFault::Transform, "{name}");
        assert!(in_text.to_string().starts_with("chart transforms "), "{in_text}");
    }
}

#[test]
fn traces_identify_the_secret() {
    for transform in [str::to_uppercase, |text: &str| text[..12].to_owned(), query, b64] {
        let finding = fault(|_, jwt| vec![text_secret(&json!({ "K": transform(jwt) }))]);
        assert_eq!(finding.path.as_deref(), Some("secrets.jwtSecret"));
    }
}

#[test]
fn a_hash_anywhere_but_in_an_annotation_is_a_transformation() {
    let finding = fault(|database, _| vec![deployment(&json!({}), &sha256(database))]);
    assert_eq!(finding.fault, SecretFault::Transform);
}

#[test]
fn objects_and_list_items_that_depend_on_a_secret_are_found() {
    let vault = vault();
    let one = [text_secret(&json!({ "A": "x" }))];
    let findings = vault.compare(&one, &[]).expect_err("one object is missing");
    assert_eq!(findings[0].fault, SecretFault::Transform);
    judge(|database, _| {
        let items: Vec<_> = database.split('/').collect();
        vec![json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "items": items })]
    })
    .expect_err("a list made from a secret");
}

#[test]
fn findings_name_no_value() {
    let findings =
        judge(|database, jwt| vec![deployment(&json!({ "a": jwt }), database)]).expect_err("leaks");
    for finding in findings {
        let event = serde_json::to_string(&Finding::from(&finding)).unwrap();
        assert!(!event.contains("p%40ss") && !event.contains("0123456789abcdef"), "{event}");
    }
}
