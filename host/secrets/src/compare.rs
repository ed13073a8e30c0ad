//! The double-render rule: the allowed differences between two renders that differ only in their placeholders.
//!
//! Whole placeholders in the data of a Secret, and hashes in annotations; nothing else. The two forms of
//! a placeholder differ at every position, and escaping and case functions change them differently, so
//! every transformation of a secret shows as a difference that is neither.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::substitute::{is_secret, pointer_key};
use super::{Contents, Nonce, Vault};
use todohost_model::event::{Finding, FindingOutcome};
use todohost_model::object::{Object, ObjectRef};

/// Replaces every placeholder in the comparison of two texts; no chart writes it.
const MARK: char = '\u{F8FF}';

/// Shortest piece of a placeholder that identifies the secret in a text.
const TELLING: usize = 6;

/// A forbidden use of a secret in a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// It is somewhere else than in the data of a Secret.
    Leak,
    /// The Secret holds a transformed value, and the host does not have the function.
    Transform,
}

/// A place in a chart that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFinding {
    /// The forbidden use.
    pub fault: SecretFault,
    /// Value path of the secret, if it could be identified.
    pub path: Option<String>,
    /// Position of the object in the rendered list, for finding its template.
    pub index: usize,
    /// The object, if it has a name.
    pub object: Option<ObjectRef>,
    /// JSON pointer in it.
    pub pointer: String,
    /// The place in words: `env DATABASE_URL`.
    pub place: String,
}

impl SecretFinding {
    /// Name of the field that holds the secret: `DATABASE_URL`.
    pub fn field(&self) -> &str {
        let word = self.place.rsplit(' ').next().unwrap_or_default();
        if word.starts_with('/') { word.rsplit('/').next().unwrap_or_default() } else { word }
    }

    /// Advice for the user.
    pub const fn help(&self) -> &'static str {
        match self.fault {
            SecretFault::Leak => {
                "put it into the data of a Secret and refer to that by secretKeyRef or a volume"
            }
            SecretFault::Transform => {
                "give the value in the form in which the Secret needs it and use it as a whole"
            }
        }
    }
}

impl fmt::Display for SecretFinding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.object.as_ref().map_or_else(
            || format!("object {} of the rendered output", self.index + 1),
            ToString::to_string,
        );
        let path = self.path.as_deref();
        match self.fault {
            SecretFault::Leak => {
                write!(
                    formatter,
                    "secret {} leaks into {object} {}",
                    path.unwrap_or("value"),
                    self.place
                )
            }
            SecretFault::Transform => {
                write!(
                    formatter,
                    "chart transforms {} in {object} {}",
                    path.unwrap_or("a secret"),
                    self.place
                )
            }
        }
    }
}

impl From<&SecretFinding> for Finding {
    fn from(finding: &SecretFinding) -> Self {
        let code = match finding.fault {
            SecretFault::Leak => "todohost.secret.leak",
            SecretFault::Transform => "todohost.secret.transform",
        };
        Self {
            source: "todohost".to_owned(),
            outcome: FindingOutcome::Failed,
            code: code.to_owned(),
            message: finding.to_string(),
            evidence: Vec::new(),
            help: Some(finding.help().to_owned()),
            file: None,
            pointer: Some(finding.pointer.clone()),
            object: finding.object.clone(),
        }
    }
}

impl Vault {
    /// Compares two renders of the same inputs, one with each form of the placeholders, and gives back the first:
    /// its placeholders and the checksums in it change exactly when a secret or the chart does.
    ///
    /// # Errors
    /// Every place at which the chart leaks or transforms a secret.
    pub fn compare(
        &self,
        first: &[Object],
        second: &[Object],
    ) -> Result<Vec<Object>, Vec<SecretFinding>> {
        let contents = self.read();
        let mut findings = Vec::new();
        for index in 0..first.len().max(second.len()) {
            let none = Value::Null;
            let (one, other) =
                (first.get(index).unwrap_or(&none), second.get(index).unwrap_or(&none));
            let object = ObjectRef::of(one).or_else(|| ObjectRef::of(other));
            let mut comparison = Comparison {
                contents: &contents,
                index,
                root: one,
                object,
                findings: &mut findings,
            };
            comparison.walk(one, other, &mut Vec::new());
        }
        if findings.is_empty() { Ok(first.to_vec()) } else { Err(findings) }
    }
}

struct Comparison<'a> {
    contents: &'a Contents,
    index: usize,
    root: &'a Object,
    object: Option<ObjectRef>,
    findings: &'a mut Vec<SecretFinding>,
}

impl Comparison<'_> {
    fn walk(&mut self, one: &Value, other: &Value, steps: &mut Vec<String>) {
        match (one, other) {
            (Value::Object(left), Value::Object(right)) => {
                // A key made from a secret is on one side only.
                for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                    steps.push(key.clone());
                    match (left.get(key), right.get(key)) {
                        (Some(left), Some(right)) => self.walk(left, right, steps),
                        (left, right) => {
                            let text = |side: Option<&Value>| {
                                side.map_or_else(String::new, |value| format!("{key} {value}"))
                            };
                            self.report(&text(left), &text(right), steps);
                        }
                    }
                    steps.pop();
                }
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                for (index, (left, right)) in left.iter().zip(right).enumerate() {
                    steps.push(index.to_string());
                    self.walk(left, right, steps);
                    steps.pop();
                }
            }
            (one, other) if one == other => {}
            (Value::String(left), Value::String(right)) => {
                if !self.allowed(left, right, steps) {
                    self.report(left, right, steps);
                }
            }
            (one, other) => self.report(&one.to_string(), &other.to_string(), steps),
        }
    }

    /// May these two texts differ in this place?
    fn allowed(&self, one: &str, other: &str, steps: &[String]) -> bool {
        let step = |number: usize| steps.get(number).map(String::as_str);
        if is_secret(self.root) && steps.len() == 2 {
            return match step(0) {
                Some("stringData") => self.same_but_for_placeholders(one, other),
                Some("data") => match (decode_text(one), decode_text(other)) {
                    (Some(one), Some(other)) => self.same_but_for_placeholders(&one, &other),
                    _ => false,
                },
                _ => self.hash_in_annotation(one, other, steps),
            };
        }
        self.hash_in_annotation(one, other, steps)
    }

    /// Are the texts equal once every placeholder, each in its own form, is the same mark?
    fn same_but_for_placeholders(&self, one: &str, other: &str) -> bool {
        let mark = |text: &str, nonce: Nonce| {
            let mut marked = text.to_owned();
            for (number, entry) in self.contents.secrets.values().enumerate() {
                let form = entry.placeholder(nonce);
                if !form.is_empty() {
                    marked = marked.replace(form, &format!("{MARK}{number}{MARK}"));
                }
            }
            marked
        };
        !one.contains(MARK) && mark(one, Nonce::First) == mark(other, Nonce::Second)
    }

    fn hash_in_annotation(&self, one: &str, other: &str, steps: &[String]) -> bool {
        let annotation = steps
            .iter()
            .zip(steps.iter().skip(1))
            .any(|(parent, step)| parent == "metadata" && step == "annotations");
        // A placeholder, or its bytes in hexadecimal, is not a hash of it.
        annotation
            && hashes(one, other)
            && self.traces(one).is_none()
            && self.traces(other).is_none()
    }

    fn report(&mut self, one: &str, other: &str, steps: &[String]) {
        let data = is_secret(self.root)
            && matches!(steps.first().map(String::as_str), Some("data" | "stringData"));
        let path = self.traces(one).or_else(|| self.traces(other)).or_else(|| {
            let mut paths =
                self.contents.secrets.iter().filter(|(_, entry)| !entry.first.is_empty());
            match (paths.next(), paths.next()) {
                (Some((path, _)), None) => Some(path.clone()),
                _ => None,
            }
        });
        let whole = [one, other].iter().any(|text| {
            readings(text).iter().any(|reading| {
                self.contents.secrets.values().any(|entry| {
                    [&entry.first, &entry.second]
                        .iter()
                        .any(|form| !form.is_empty() && reading.contains(form.as_str()))
                })
            })
        });
        let fault = if whole && !data { SecretFault::Leak } else { SecretFault::Transform };
        let pointer = pointer_of(steps);
        self.findings.push(SecretFinding {
            fault,
            path: path.clone(),
            index: self.index,
            object: self.object.clone(),
            place: place(self.root, steps, &pointer),
            pointer,
        });
    }

    /// The secret that left traces in `text`, in any known encoding.
    fn traces(&self, text: &str) -> Option<String> {
        let readings = readings(text);
        self.contents.secrets.iter().find_map(|(path, entry)| {
            let told = [&entry.first, &entry.second].iter().any(|form| {
                let form = form.to_ascii_lowercase();
                (0..form.len().saturating_sub(TELLING - 1))
                    .filter_map(|from| form.get(from..from + TELLING))
                    .any(|piece| {
                        readings.iter().any(|reading| reading.to_ascii_lowercase().contains(piece))
                    })
            });
            told.then(|| path.clone())
        })
    }
}

/// Base64 of a text.
fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

/// The text and its possible decodings, three layers deep.
fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![text.to_owned()];
    let mut layer = vec![text.to_owned()];
    for _ in 0..3 {
        let mut below = Vec::new();
        for text in &layer {
            for word in text.split(|character: char| {
                !character.is_ascii_alphanumeric()
                    && !matches!(character, '+' | '/' | '=' | '-' | '_')
            }) {
                if word.len() < 8 {
                    continue;
                }
                let decoded = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
                    .iter()
                    .find_map(|engine| engine.decode(word).ok());
                below.extend(decoded.and_then(|bytes| String::from_utf8(bytes).ok()));
                below.extend(hexadecimal(word).and_then(|bytes| String::from_utf8(bytes).ok()));
            }
        }
        readings.extend(below.iter().cloned());
        layer = below;
    }
    readings
}

fn hexadecimal(word: &str) -> Option<Vec<u8>> {
    if !word.len().is_multiple_of(2) || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..word.len())
        .step_by(2)
        .map(|from| u8::from_str_radix(word.get(from..from + 2)?, 16).ok())
        .collect()
}

/// Do both texts have the shape of a hash, with the same words around it (`sha256:…`)?
fn hashes(one: &str, other: &str) -> bool {
    let parts = |text: &str| -> Option<(String, String)> {
        let from = text
            .rfind(|character: char| !character.is_ascii_hexdigit())
            .map_or(0, |last| last + text[last..].chars().next().map_or(1, char::len_utf8));
        let (before, hash) = text.split_at(from);
        // Decimal checksums drop leading zeros, so their length may differ.
        let decimal =
            hash.bytes().all(|byte| byte.is_ascii_digit()) && (6..=20).contains(&hash.len());
        let fits = decimal || (8..=128).contains(&hash.len());
        (fits && before.len() <= 16).then(|| (before.to_owned(), hash.to_owned()))
    };
    match (parts(one), parts(other)) {
        (Some((before, hash)), Some((before_other, hash_other))) => {
            let decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            before == before_other
                && (hash.len() == hash_other.len() || (decimal(&hash) && decimal(&hash_other)))
        }
        _ => false,
    }
}

fn pointer_of(steps: &[String]) -> String {
    steps.iter().flat_map(|step| ["/".to_owned(), pointer_key(step)]).collect()
}

/// The place as a person would say it.
fn place(root: &Object, steps: &[String], pointer: &str) -> String {
    let named = |from: usize, what: &str| {
        let name = root.pointer(&pointer_of(steps.get(..from)?))?.get("name")?.as_str()?.to_owned();
        Some(format!("{what} {name}"))
    };
    if let Some(position) = steps.iter().position(|step| step == "env")
        && let Some(words) = named(position + 2, "env")
    {
        return words;
    }
    for (parent, word) in [
        ("annotations", "annotation"),
        ("labels", "label"),
        ("data", "data"),
        ("stringData", "data"),
    ] {
        if let Some(position) = steps.iter().position(|step| step == parent)
            && let Some(key) = steps.get(position + 1)
        {
            return format!("{word} {key}");
        }
    }
    if pointer.is_empty() { "as a whole".to_owned() } else { format!("at {pointer}") }
}

#[cfg(test)]
mod tests;
