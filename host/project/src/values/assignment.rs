//! The grammar of `--set`: `a.b=1,hosts[0]=x,list={p,q},gone=null`.

use serde_json::Value;

use todohost_model::value_path::ValuePath;

/// A path and its new value.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The path of the value.
    pub path: ValuePath,
    /// The new value.
    pub value: Value,
}

impl Assignment {
    /// Parses `--set`: numbers, booleans and null have their type.
    ///
    /// # Errors
    /// The reason, in one line.
    pub fn parse_typed(text: &str) -> Result<Vec<Self>, String> {
        parse(text, typed)
    }

    /// Parses `--set-string`: all values are text.
    ///
    /// # Errors
    /// The reason, in one line.
    pub fn parse_strings(text: &str) -> Result<Vec<Self>, String> {
        parse(text, Value::String)
    }

    /// Parses `--set-json`: one path with a JSON document.
    ///
    /// # Errors
    /// The reason, in one line.
    pub fn parse_json(text: &str) -> Result<Vec<Self>, String> {
        let (path, json) = text.split_once('=').ok_or("it has no `=`, expected PATH=JSON")?;
        let value = serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?;
        Ok(vec![Self { path: read_path(path)?, value }])
    }
}

/// Escapes a value so that `--set` takes it literally.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, ',' | '\\') || (escaped.is_empty() && character == '{') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn parse(text: &str, value_of: fn(String) -> Value) -> Result<Vec<Assignment>, String> {
    let mut assignments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (path, after) =
            split_unescaped(rest, '=').ok_or_else(|| no_value(split_first(rest)))?;
        if split_unescaped(path, ',').is_some() {
            return Err(no_value(split_first(path)));
        }
        let path = read_path(path)?;
        let value;
        if let Some(list) = after.strip_prefix('{') {
            let (items, after) = split_unescaped(list, '}').ok_or("a list is not closed by `}`")?;
            value = Value::Array(list_items(items).into_iter().map(value_of).collect());
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None if after.is_empty() => "",
                None => return Err(format!("unexpected `{after}` after a list")),
            };
        } else {
            let (raw, next) = split_unescaped(after, ',').unwrap_or((after, ""));
            value = value_of(unescape(raw));
            rest = next;
        }
        assignments.push(Assignment { path, value });
    }
    if assignments.is_empty() {
        return Err("it is empty, expected PATH=VALUE".to_owned());
    }
    Ok(assignments)
}

fn no_value(path: &str) -> String {
    format!("`{path}` has no value, expected PATH=VALUE")
}

fn split_first(text: &str) -> &str {
    split_unescaped(text, ',').map_or(text, |(first, _)| first)
}

fn read_path(text: &str) -> Result<ValuePath, String> {
    ValuePath::parse(text).ok_or_else(|| {
        if text.is_empty() {
            "a path is missing before `=`".to_owned()
        } else {
            format!("`{text}` is not a value path")
        }
    })
}

fn list_items(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut rest = Some(text).filter(|text| !text.is_empty());
    while let Some(text) = rest {
        let (item, next) = match split_unescaped(text, ',') {
            Some((item, next)) => (item, Some(next)),
            None => (text, None),
        };
        items.push(unescape(item));
        rest = next;
    }
    items
}

/// Splits at the first `separator` that no backslash precedes.
fn split_unescaped(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (place, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == separator {
            return Some((&text[..place], &text[place + separator.len_utf8()..]));
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    plain
}

/// The value of a word. A number with a leading zero is text, e.g. a telephone number.
fn typed(text: String) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    if (text == "0" || !text.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::Number(number.into());
    }
    Value::String(text)
}
