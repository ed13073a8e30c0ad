//! Real values for placeholders on the way to the API server, tokens for real values on the way back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

use super::{Contents, SecretError, Vault, placeholder};
use todohost_model::object::{Object, ObjectRef};

/// `kubectl apply` keeps the whole object here, data of Secrets included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields that identify an object are never redacted, since no message could name it otherwise.
const IDENTITY: [&str; 5] =
    ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/uid"];

/// Is it a Secret, whose data may hold placeholders?
pub(super) fn is_secret(object: &Object) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

impl Vault {
    /// The object as the API server gets it: placeholders and tokens in the data of a Secret become values.
    /// `stringData` moves into `data`, as on the API server, so that both compare.
    ///
    /// # Errors
    /// `Leak` if a placeholder or token is anywhere else, `Unfit` if a value would break the text around it.
    pub fn substitute(&self, object: Object) -> Result<Object, SecretError> {
        let contents = self.read();
        if !is_secret(&object) {
            contents.refuse(&object, &object, "")?;
            return Ok(object);
        }
        let mut object = object;
        let (data, strings) = take_data(&mut object);
        contents.refuse(&object, &object, "")?;
        let mut filled = Map::new();
        for (key, value) in data {
            contents.refuse_text(&object, &key, "/data")?;
            let place = format!("/data/{key}");
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            let value = match bytes {
                Some(bytes) => {
                    STANDARD.encode(contents.fill(&object, &place, bytes)?.as_slice()).into()
                }
                // Invalid in a Secret: the API server reports it better.
                None => value,
            };
            filled.insert(key, value);
        }
        for (key, value) in strings {
            contents.refuse_text(&object, &key, "/stringData")?;
            let place = format!("/stringData/{key}");
            let value = match value {
                Value::String(text) => STANDARD
                    .encode(contents.fill(&object, &place, text.into_bytes())?.as_slice())
                    .into(),
                other => other,
            };
            filled.insert(key, value);
        }
        if let Some(map) = object.as_object_mut().filter(|_| !filled.is_empty()) {
            map.insert("data".to_owned(), Value::Object(filled));
        }
        Ok(object)
    }

    /// The object as components may see it: each value in the data of a Secret is one token, equal for
    /// equal values; known values elsewhere are redacted.
    #[must_use]
    pub fn tokenise(&self, mut object: Object) -> Object {
        if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
            for item in items {
                *item = self.tokenise(item.take());
            }
        }
        if is_secret(&object) {
            object = self.tokenise_data(object);
        }
        self.read().clean(&mut object, "");
        object
    }

    /// A desired object as components may see it: as [`Vault::substitute`] makes it, with a token for each value, so
    /// that it equals the live object exactly if nothing changes. Other objects stay unchanged.
    ///
    /// # Errors
    /// As [`Vault::substitute`].
    pub fn seal(&self, object: Object) -> Result<Object, SecretError> {
        let object = self.substitute(object)?;
        Ok(if is_secret(&object) { self.tokenise_data(object) } else { object })
    }

    fn tokenise_data(&self, mut object: Object) -> Object {
        let (data, strings) = take_data(&mut object);
        let mut sealed = Map::new();
        for (key, value) in data {
            let bytes = value
                .as_str()
                .map(|text| STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec()));
            sealed.insert(key, bytes.map_or(Value::Null, |bytes| self.token(bytes, true)));
        }
        let mut sealed_strings = Map::new();
        for (key, value) in strings {
            let bytes = value.as_str().map(|text| text.as_bytes().to_vec());
            sealed_strings.insert(key, bytes.map_or(Value::Null, |bytes| self.token(bytes, false)));
        }
        if let Some(map) = object.as_object_mut() {
            for (field, values) in [("data", sealed), ("stringData", sealed_strings)] {
                if !values.is_empty() {
                    map.insert(field.to_owned(), Value::Object(values));
                }
            }
        }
        if let Some(text) = object
            .get_mut("metadata")
            .and_then(|data| data.get_mut("annotations")?.get_mut(LAST_APPLIED))
        {
            let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
            *text = self.token(bytes, false);
        }
        object
    }

    fn token(&self, bytes: Vec<u8>, encode: bool) -> Value {
        if bytes.is_empty() {
            return Value::from("");
        }
        let token = placeholder::letters(&self.salt, &[b"token", &bytes]);
        let mut contents = self.write();
        // A value that a component returned is already a token.
        let token = match std::str::from_utf8(&bytes) {
            Ok(text) if contents.tokens.contains_key(text) => text.to_owned(),
            _ => {
                contents.tokens.insert(token.clone(), Zeroizing::new(bytes));
                token
            }
        };
        if encode { STANDARD.encode(token) } else { token }.into()
    }
}

impl Contents {
    /// `bytes` of a Secret with real values in them.
    fn fill(
        &self,
        object: &Object,
        place: &str,
        bytes: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            // Binary data holds no placeholder.
            Err(binary) => return Ok(Zeroizing::new(binary.into_bytes())),
        };
        if let Some(bytes) = self.tokens.get(&text) {
            return Ok(bytes.clone());
        }
        let json = text.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<Value>(&text).is_ok();
        let mut filled = Zeroizing::new(text.clone());
        for (path, entry) in &self.secrets {
            if entry.first.is_empty() || !text.contains(&entry.first) {
                continue;
            }
            let value = entry.value.expose();
            let breaks = text
                .match_indices(&entry.first)
                .any(|(position, _)| breaks_quotes(&text[..position], value));
            if breaks && !json {
                return Err(SecretError::Unfit {
                    path: path.clone(),
                    object: describe(object),
                    place: place.to_owned(),
                    reason: "it stands between quotes and has characters that end or escape them",
                });
            }
            let value = Zeroizing::new(if json { json_content(value) } else { value.to_owned() });
            filled = Zeroizing::new(filled.replace(&entry.first, &value));
        }
        Ok(Zeroizing::new(filled.as_bytes().to_vec()))
    }

    /// Errors if a placeholder or token is anywhere in `value`.
    fn refuse(&self, object: &Object, value: &Value, place: &str) -> Result<(), SecretError> {
        match value {
            Value::String(text) => self.refuse_text(object, text, place),
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.refuse(object, item, &format!("{place}/{index}"))
            }),
            Value::Object(map) => map.iter().try_for_each(|(key, item)| {
                self.refuse_text(object, key, place)?;
                self.refuse(object, item, &format!("{place}/{}", pointer_key(key)))
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn refuse_text(&self, object: &Object, text: &str, place: &str) -> Result<(), SecretError> {
        match self.inside(text) {
            None => Ok(()),
            Some(path) => {
                Err(SecretError::Leak { path, object: describe(object), place: place.to_owned() })
            }
        }
    }

    /// Which secret has its placeholder or token in `text`.
    fn inside(&self, text: &str) -> Option<String> {
        if text.len() < placeholder::LENGTH {
            return None;
        }
        let holds = |form: &str| !form.is_empty() && text.contains(form);
        let secret =
            self.secrets.iter().find(|(_, entry)| holds(&entry.first) || holds(&entry.second));
        secret.map(|(path, _)| path.clone()).or_else(|| {
            let token = placeholder::candidates(text).any(|word| self.tokens.contains_key(word));
            token.then(|| "read from the cluster".to_owned())
        })
    }

    /// Redacts known values in all strings but those that name the object.
    fn clean(&self, value: &mut Value, place: &str) {
        match value {
            Value::String(text) if !IDENTITY.contains(&place) => {
                if let Some(clean) = self.needles.redact_long(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.clean(item, &format!("{place}/*"));
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.clean(item, &format!("{place}/{key}"));
                }
            }
            _ => {}
        }
    }
}

/// Takes `data` and `stringData` out of a Secret.
fn take_data(object: &mut Object) -> (Map<String, Value>, Map<String, Value>) {
    let mut take = |field| match object.as_object_mut().and_then(|map| map.shift_remove(field)) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    (take("data"), take("stringData"))
}

fn describe(object: &Object) -> String {
    ObjectRef::of(object)
        .map_or_else(|| "an object without a name".to_owned(), |named| named.to_string())
}

/// A key as a step of a JSON pointer.
pub(super) fn pointer_key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The value as it stands between the quotes of a JSON string.
fn json_content(value: &str) -> String {
    let quoted = Value::from(value).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Would `value` after `before` end up between quotes that it ends or escapes? Whether a chart would have
/// escaped it there cannot be seen from a placeholder, so neither answer is guessed.
fn breaks_quotes(before: &str, value: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let open = |quote: char| line.matches(quote).count() % 2 == 1;
    let special = |character: char| character == '\\' || character.is_control();
    (open('"') && (value.contains('"') || value.contains(special)))
        || (open('\'') && value.contains('\''))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Nonce, Salt, SecretValue};

    const URL: &str = "postgresql://todo:p@ss\"w@db:5432/todo?a=b&c";

    fn vault() -> Vault {
        let vault = Vault::new(Salt::from_bytes([3; 32]));
        vault.insert("secrets.databaseUrl", SecretValue::new(URL.to_owned()));
        vault.insert("secrets.empty", SecretValue::new(String::new()));
        vault
    }

    fn secret(data: &Value) -> Object {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "data": data })
    }

    fn decoded(object: &Object, key: &str) -> String {
        let text = object["data"][key].as_str().unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn fills_data_and_string_data() {
        let vault = vault();
        let first = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
        let mut object = secret(
            &json!({ "A": STANDARD.encode(&first), "B": STANDARD.encode(format!("x={first}\ny={first}")) }),
        );
        object["stringData"] = json!({ "C": first, "D": "plain", "E": "" });
        let filled = vault.substitute(object).unwrap();
        assert_eq!(decoded(&filled, "A"), URL);
        assert_eq!(decoded(&filled, "B"), format!("x={URL}\ny={URL}"));
        assert_eq!(decoded(&filled, "C"), URL);
        assert_eq!(decoded(&filled, "D"), "plain");
        assert_eq!(decoded(&filled, "E"), "");
        assert!(filled.get("stringData").is_none());
    }

    #[test]
    fn a_value_inside_json_stays_json() {
        let vault = vault();
        let first = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
        let text = format!("{{\"url\": \"{first}\", \"n\": 1}}");
        let filled =
            vault.substitute(secret(&json!({ "config.json": STANDARD.encode(text) }))).unwrap();
        let parsed: Value = serde_json::from_str(&decoded(&filled, "config.json")).unwrap();
        assert_eq!(parsed, json!({ "url": URL, "n": 1 }));
    }

    #[test]
    fn quotes_that_a_value_would_break_are_an_error() {
        let vault = vault();
        let first = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
        let text = format!("[db]\nurl = \"{first}\"\n");
        let error =
            vault.substitute(secret(&json!({ "app.toml": STANDARD.encode(text) }))).unwrap_err();
        assert!(matches!(error, SecretError::Unfit { .. }), "{error}");
        assert!(!error.to_string().contains("p@ss"));
    }

    #[test]
    fn a_placeholder_elsewhere_is_a_leak() {
        let vault = vault();
        for nonce in [Nonce::First, Nonce::Second] {
            let form = vault.placeholder("secrets.databaseUrl", nonce).unwrap();
            for object in [
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "U": form } }),
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { form.clone(): "x" } }),
                json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "c", "labels": { "u": format!("a{form}") } } }),
                json!({ "apiVersion": "example.org/v1", "kind": "Secret", "metadata": { "name": "c" }, "data": { "U": form } }),
            ] {
                let error = vault.substitute(object.clone()).unwrap_err();
                assert!(
                    matches!(&error, SecretError::Leak { path, .. } if path == "secrets.databaseUrl"),
                    "{object}"
                );
            }
        }
    }

    #[test]
    fn tokens_turn_back_into_their_values() {
        let vault = vault();
        let mut bytes =
            vec![b"".to_vec(), b"text".to_vec(), URL.as_bytes().to_vec(), b"{\"a\":1}".to_vec()];
        bytes.extend(
            (0..64_u8).map(|number| (0..=number).map(|byte| byte.wrapping_mul(37)).collect()),
        );
        for value in bytes {
            let live =
                secret(&json!({ "K": STANDARD.encode(&value), "L": STANDARD.encode(b"other") }));
            let sealed = vault.tokenise(live.clone());
            assert_eq!(vault.tokenise(live.clone()), sealed, "tokens are stable");
            if value.is_empty() {
                assert_eq!(sealed["data"]["K"], "");
            } else {
                assert_ne!(sealed["data"]["K"], live["data"]["K"]);
                assert_eq!(decoded(&sealed, "K").len(), placeholder::LENGTH);
            }
            assert_eq!(vault.tokenise(sealed.clone()), sealed, "a token of a token is the token");
            assert_eq!(vault.substitute(sealed).unwrap(), live);
        }
    }

    #[test]
    fn a_sealed_desired_object_equals_the_live_one_of_the_same_value() {
        let vault = vault();
        let first = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
        let desired = secret(&json!({ "U": STANDARD.encode(format!("url: {first}")) }));
        let live = secret(&json!({ "U": STANDARD.encode(format!("url: {URL}")) }));
        assert_eq!(vault.seal(desired).unwrap(), vault.tokenise(live));
    }

    #[test]
    fn a_token_outside_of_a_secret_is_a_leak() {
        let vault = vault();
        let sealed = vault.tokenise(secret(&json!({ "K": STANDARD.encode(b"generated") })));
        let token = decoded(&sealed, "K");
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "U": format!("x-{token}zz") } });
        assert!(matches!(vault.substitute(object).unwrap_err(), SecretError::Leak { .. }));
    }

    #[test]
    fn other_objects_are_redacted_for_components_as_well() {
        let vault = vault();
        let mut live = secret(&json!({ "U": STANDARD.encode(URL) }));
        live["metadata"]["annotations"] = json!({ LAST_APPLIED: live.to_string(), "note": URL });
        let list = json!({ "kind": "List", "items": [live, {
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
            "spec": { "containers": [{ "env": [{ "name": "U", "value": URL }], "args": [STANDARD.encode(URL)] }] }
        }] });
        let text = vault.tokenise(list).to_string();
        assert!(!text.contains("p@ss") && !text.contains(&STANDARD.encode(URL)), "{text}");
    }
}
