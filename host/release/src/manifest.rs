//! Manifests: YAML documents in, objects out, and back.
//!
//! Reads as the Kubernetes tools do, by YAML 1.1: `on` and `yes` are true, `0644` is octal.

use serde_json::Value;

use super::ReleaseError;
use todohost_model::object::Object;

/// The comment that renderers write above the output of a template.
const SOURCE: &str = "# Source: ";

/// One object with the template that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Path of the template, e.g. `todo-app/templates/secret.yaml`; empty if unknown.
    pub source: String,
    pub object: Object,
}

/// The objects of a YAML stream. `List` objects are expanded, empty documents are left out. If `source` is empty,
/// `# Source:` comments name the template.
///
/// # Errors
/// `Manifest` with the problem and its place.
pub fn parse_manifest(source: &str, text: &str) -> Result<Vec<Document>, ReleaseError> {
    let mut documents = Vec::new();
    let mut origin = source.to_owned();
    for part in split(text) {
        let told = part.lines().find_map(|line| line.strip_prefix(SOURCE));
        if let Some(told) = told.filter(|_| source.is_empty()) {
            told.trim().clone_into(&mut origin);
        }
        let refuse = |reason: String| ReleaseError::Manifest { origin: origin.clone(), reason };
        let mut value: Value = serde_saphyr::from_str_with_options(
            part,
            serde_saphyr::options! {
                legacy_octal_numbers: true,
                strict_booleans: false,
                duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
                // The text may hold secrets of others: an error names the place, not the words.
                with_snippet: false,
            },
        )
        .map_err(|error| refuse(error.to_string()))?;
        whole_numbers(&mut value);
        open(value, &origin, &mut documents).map_err(refuse)?;
    }
    Ok(documents)
}

/// `1e3` and `1.0` become whole numbers, as they do on their way through Go: the API server takes no `1000.0` for one.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Up to 2^53 a double is the whole number that it looks like.
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() <= 9_007_199_254_740_992.0
                && let Ok(whole) = format!("{float:.0}").parse::<i64>()
            {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

fn open(value: Value, origin: &str, documents: &mut Vec<Document>) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Object(mut map) => {
            let list =
                map.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
            match map.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) if list => {
                    items.into_iter().try_for_each(|item| open(item, origin, documents))
                }
                Some(items) => {
                    map.insert("items".to_owned(), items);
                    documents
                        .push(Document { source: origin.to_owned(), object: Value::Object(map) });
                    Ok(())
                }
                None if map.is_empty() => Ok(()),
                None => {
                    documents
                        .push(Document { source: origin.to_owned(), object: Value::Object(map) });
                    Ok(())
                }
            }
        }
        _ => Err("a document is not an object".to_owned()),
    }
}

/// The documents of a stream as texts, each with its own comment.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        // A separator is a line of its own; `--- # comment` and `--- !tag` are separators, too.
        let ends = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if ends {
            parts.push(&text[start..position]);
            let inline = line.trim_start_matches("---").trim();
            start = if inline.is_empty() || inline.starts_with('#') {
                position + line.len()
            } else {
                position
            };
        }
        position += line.len();
    }
    parts.push(&text[start..]);
    parts.retain(|part| {
        part.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        })
    });
    parts
}

/// The stream that a record keeps: one document per object under its `# Source:` comment.
///
/// # Errors
/// `Manifest` if an object cannot be written.
pub fn print_manifest(documents: &[Document]) -> Result<String, ReleaseError> {
    let mut text = String::new();
    for document in documents {
        let source = document.source.replace(['\n', '\r'], " ");
        let yaml = serde_saphyr::to_string_with_options(
            &document.object,
            // Quotes leave no text to be taken for a number, a date or a truth value by older readers.
            serde_saphyr::ser_options! { quote_all: true },
        )
        .map_err(|error| ReleaseError::Manifest {
            origin: source.clone(),
            reason: error.to_string(),
        })?;
        text.push_str("---\n");
        if !source.is_empty() {
            text.push_str(SOURCE);
            text.push_str(&source);
            text.push('\n');
        }
        text.push_str(&yaml);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_as_the_kubernetes_tools_do() {
        let text = "# Source: app/templates/a.yaml\n\n---\n# Source: app/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n\
                    mode: 0644\non: yes\nquoted: \"yes\"\nport: 080\nversion: 1.10\nexponent: 1e3\ntext: |\n  ---\n  # Source: x\n\
                    --- # next\n# Source: app/templates/b.yaml\n# nothing here\n---\n# Source: app/templates/c.yaml\n\
                    apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
        let found = parse_manifest("", text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].source, "app/templates/a.yaml");
        let object = &found[0].object;
        assert_eq!(object["mode"], 420);
        assert_eq!(object["quoted"], "yes");
        assert_eq!((&object["port"], &object["exponent"]), (&json!(80), &json!(1000)));
        assert_eq!(object["version"], json!(1.1));
        assert_eq!(object["text"], "---\n# Source: x\n");
        assert_eq!(
            (found[1].source.as_str(), &found[1].object["metadata"]["name"]),
            ("app/templates/c.yaml", &json!("b"))
        );
    }

    #[test]
    fn a_written_manifest_reads_the_same() {
        let awkward = [
            "yes",
            "on",
            "n",
            "null",
            "~",
            "",
            " ",
            "0644",
            "0o17",
            "0x1F",
            "1e3",
            "1_000",
            "12:30:45",
            "2026-11-21",
            "- a",
            "a: b",
            "#",
            "a #b",
            "'",
            "\"",
            "\\",
            "\n",
            "a\nb\n",
            "  a\n b",
            "\t",
            "---",
            "{{ x }}",
            "&a",
            "*a",
            "!t",
            "%",
            "@",
            "`",
            "ü\u{1F600}",
            "\u{0}\u{7}",
            "\u{85}",
            "\u{2028}",
            ".inf",
            "-",
            "?",
            "=",
            "<<",
            "1.10",
            "true",
        ];
        for text in awkward {
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" },
                "data": { "key": text, text: "value" }, "list": [text, [text], {}, []], "number": 1.5, "whole": -3, "truth": true });
            let documents = [Document { source: "app/templates/x.yaml".to_owned(), object }];
            let written = print_manifest(&documents).unwrap();
            assert_eq!(parse_manifest("", &written).unwrap(), documents, "{text:?}\n{written}");
        }
    }

    #[test]
    fn errors_name_template_and_place_but_no_words_of_the_text() {
        let error =
            parse_manifest("app/templates/x.yaml", "a: [hunter2\nb: c\n").unwrap_err().to_string();
        assert!(error.contains("app/templates/x.yaml") && error.contains("line"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = parse_manifest("x", "just text").unwrap_err().to_string();
        assert!(error.ends_with("a document is not an object"), "{error}");
    }
}
