//! Expands `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` like builders do in FROM lines.

use std::collections::BTreeMap;

/// The text with its variables expanded; `None` if one has no value or the syntax is not supported.
pub fn expand(text: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}')?;
            out.push_str(&braced(&inner[..end], values)?);
            rest = &inner[end + 1..];
        } else {
            let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
            out.push_str(values.get(&rest[..end])?);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Some(out)
}

fn braced(inner: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let end = inner.find(|character| !is_name(character)).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let value = values.get(name);
    let set = value.filter(|value| !value.is_empty());
    if operator.is_empty() {
        value.cloned()
    } else if let Some(default) = operator.strip_prefix(":-") {
        set.cloned().or_else(|| expand(default, values))
    } else if let Some(default) = operator.strip_prefix('-') {
        value.cloned().or_else(|| expand(default, values))
    } else if let Some(other) = operator.strip_prefix(":+") {
        if set.is_some() { expand(other, values) } else { Some(String::new()) }
    } else {
        None
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_form_is_expanded() {
        let values =
            BTreeMap::from([("A".to_owned(), "1".to_owned()), ("E".to_owned(), String::new())]);
        for (text, expected) in [
            ("x", Some("x")),
            ("$A", Some("1")),
            ("n:$A-s", Some("n:1-s")),
            ("n:${A}s", Some("n:1s")),
            ("${E:-d}", Some("d")),
            ("${E-d}", Some("")),
            ("${N-d}", Some("d")),
            ("${A:+b}", Some("b")),
            ("n${N:+b}", Some("n")),
            ("$N", None),
            ("${N}", None),
            ("${A", None),
            ("${A%x}", None),
        ] {
            assert_eq!(expand(text, &values).as_deref(), expected, "{text}");
        }
    }
}
