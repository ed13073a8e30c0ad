//! Finds secret values, and their usual encodings, in text.
//!
//! A value shorter than [`SHORTEST`] is not looked for: it would be found in every second line.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use url::form_urlencoded;

use super::SecretValue;

/// Shortest value that is redacted, in bytes.
const SHORTEST: usize = 4;

/// Shortest piece or encoding of a value that is redacted.
const SHORTEST_DERIVED: usize = 8;

/// Shortest line of a multi-line value that is redacted alone.
const SHORTEST_LINE: usize = 16;

/// All forms of all secrets, searched for at the same time.
#[derive(Default)]
pub(super) struct Needles {
    search: Option<AhoCorasick>,
    /// The same, without values too short to be distinguished from ordinary words of an object.
    search_long: Option<AhoCorasick>,
    labels: Vec<String>,
    labels_long: Vec<String>,
}

impl Needles {
    /// The needles for secrets given by path and value.
    pub(super) fn of(secrets: &[(String, SecretValue)]) -> Self {
        let mut forms = BTreeMap::new();
        for (path, value) in secrets {
            for form in forms_of(value.expose()) {
                forms.entry(form).or_insert_with(|| format!("[secret {path}]"));
            }
        }
        let long: BTreeMap<_, _> =
            forms.clone().into_iter().filter(|(form, _)| form.len() >= SHORTEST_DERIVED).collect();
        Self {
            search: searcher(&forms),
            search_long: searcher(&long),
            labels: forms.into_values().collect(),
            labels_long: long.into_values().collect(),
        }
    }

    /// `text` with a label in place of every form of every secret.
    pub(super) fn redact(&self, text: &str) -> String {
        match &self.search {
            Some(search) if search.is_match(text) => search.replace_all(text, &self.labels),
            _ => text.to_owned(),
        }
    }

    /// The same for a string inside an object, in which a short value may be an ordinary word; `None` if
    /// no secret is found.
    pub(super) fn redact_long(&self, text: &str) -> Option<String> {
        let search = self.search_long.as_ref()?;
        search.is_match(text).then(|| search.replace_all(text, &self.labels_long))
    }
}

fn searcher(forms: &BTreeMap<String, String>) -> Option<AhoCorasick> {
    if forms.is_empty() {
        return None;
    }
    // Building fails only beyond 2^31 bytes of needles, which no command line carries.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms.keys()).ok()
}

/// The value, its secret parts, and the forms in which tools print them.
fn forms_of(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    if value.len() < SHORTEST {
        return forms;
    }
    forms.push(value.to_owned());
    let trimmed = value.trim();
    if trimmed.len() >= SHORTEST {
        forms.push(trimmed.to_owned());
    }
    let mut pieces = vec![value.to_owned()];
    pieces.extend(
        value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE).map(str::to_owned),
    );
    pieces.extend(url_passwords(value));
    for piece in pieces {
        let derived = [vec![piece.clone()], escaped(&piece), encoded(piece.as_bytes())].concat();
        let floor = if piece.len() == value.len() { SHORTEST } else { SHORTEST_DERIVED };
        forms.extend(derived.into_iter().filter(|form| form.len() >= floor.max(SHORTEST)));
    }
    forms
}

/// Errors of database clients name parts of a URL: its password counts alone, as written and decoded.
fn url_passwords(value: &str) -> Vec<String> {
    let Some(password) =
        url::Url::parse(value).ok().and_then(|url| url.password().map(str::to_owned))
    else {
        return Vec::new();
    };
    let decoded = form_urlencoded::parse(format!("p={}", password.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, text)| text.into_owned());
    // `Url` normalises the password. The original is the text between the last colon of the user part and the `@`.
    let written = value
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .and_then(|authority| authority.rsplit_once('@'))
        .and_then(|(user, _)| user.split_once(':'))
        .map(|(_, written)| written.to_owned());
    [Some(password), decoded, written].into_iter().flatten().collect()
}

/// As JSON strings, debug prints and URLs have it.
fn escaped(piece: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(piece).to_string();
    let json = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let query: String = form_urlencoded::byte_serialize(piece.as_bytes()).collect();
    let strict = query.replace('+', "%20").replace('*', "%2A").replace("%7E", "~");
    let lower = |text: &str| {
        let mut rest = text;
        let mut lowered = String::with_capacity(text.len());
        while let Some((before, after)) = rest.split_once('%') {
            let (digits, tail) = after.split_at(after.len().min(2));
            lowered.push_str(before);
            lowered.push('%');
            lowered.push_str(&digits.to_ascii_lowercase());
            rest = tail;
        }
        lowered + rest
    };
    vec![
        json.to_owned(),
        // Go's encoder escapes these for HTML.
        json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"),
        lower(&query),
        lower(&strict),
        query,
        strict,
    ]
}

/// Base64 of the piece alone and within a longer text, at each of the three alignments.
fn encoded(piece: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [&STANDARD, &URL_SAFE] {
        let whole = engine.encode(piece);
        forms.push(whole.trim_end_matches('=').to_owned());
        forms.push(whole);
        for before in 0..3 {
            let text = engine.encode([&vec![0; before], piece].concat());
            // Characters that also hold bits of the neighbouring text are unknown.
            let from = [0, 2, 3][before];
            let to = (before + piece.len()) * 8 / 6;
            if let Some(middle) = text.get(from..to) {
                forms.push(middle.to_owned());
            }
        }
    }
    forms.retain(|form| form.len() >= SHORTEST_DERIVED);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str =
        "postgresql://todo:p%40ss \"wörd\"&<x>@db.example:5432/todo?sslmode=require";

    fn needles(values: &[(&str, &str)]) -> Needles {
        let values: Vec<_> = values
            .iter()
            .map(|(path, value)| ((*path).to_owned(), SecretValue::new((*value).to_owned())))
            .collect();
        Needles::of(&values)
    }

    #[test]
    fn finds_the_value_however_it_is_written() {
        let needles = needles(&[("secrets.databaseUrl", VALUE)]);
        let forms = [
            VALUE.to_owned(),
            format!("error: {VALUE}!"),
            serde_json::json!({ "url": VALUE }).to_string(),
            STANDARD.encode(VALUE),
            URL_SAFE.encode(VALUE),
            STANDARD.encode(format!("x{VALUE}y")),
            STANDARD.encode(format!("xy{VALUE}")),
            STANDARD.encode(format!("DATABASE_URL={VALUE}\n")),
            form_urlencoded::byte_serialize(VALUE.as_bytes()).collect(),
            form_urlencoded::byte_serialize(VALUE.as_bytes())
                .collect::<String>()
                .replace('+', "%20"),
            "password authentication with p@ss \"wörd\"&<x> failed".to_owned(),
        ];
        for form in forms {
            let clean = needles.redact(&form);
            assert!(clean.contains("[secret secrets.databaseUrl]"), "{form} → {clean}");
            assert!(
                !clean.contains("wörd") && !clean.contains("sslmode=require\""),
                "{form} → {clean}"
            );
        }
    }

    #[test]
    fn lines_of_a_long_value_are_redacted_alone() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----\n";
        let clean =
            needles(&[("secrets.key", key)]).redact("read MIIEvQIBADANBgkqhkiG9w0BAQEFAASC then");
        assert_eq!(clean, "read [secret secrets.key] then");
    }

    #[test]
    fn leaves_other_text_and_very_short_values_alone() {
        let needles =
            needles(&[("secrets.a", "abc"), ("secrets.b", ""), ("secrets.c", "longvalue")]);
        assert_eq!(needles.redact("abc def longvalu"), "abc def longvalu");
        assert_eq!(needles.redact_long("abc def longvalu"), None);
    }

    #[test]
    fn the_longest_of_nested_secrets_wins() {
        let needles =
            needles(&[("secrets.short", "hunter2"), ("secrets.long", "hunter2-and-more")]);
        assert_eq!(
            needles.redact("hunter2-and-more hunter2"),
            "[secret secrets.long] [secret secrets.short]"
        );
    }
}
