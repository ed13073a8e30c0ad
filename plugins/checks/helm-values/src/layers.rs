//! Finds the file or argument that sets a value.

use serde_json::Value;
use todohost_plugin::Finding;
use todohost_plugin::subject::Values;

/// The last layer with a value at a JSON pointer. The chart's own values are the first layer.
pub fn source(values: &Values, pointer: &str) -> Option<String> {
    let has = |document: &Value| document.pointer(pointer).is_some();
    values
        .layers
        .iter()
        .rev()
        .find(|layer| has(&layer.values))
        .map(|layer| layer.source.clone())
        .or_else(|| has(&values.defaults).then(|| "the chart's values.yaml".to_owned()))
}

/// The file that sets the value, unless an argument sets it.
pub fn file(values: &Values, finding: &Finding) -> Option<String> {
    let source = source(values, finding.pointer.as_deref()?)?;
    let is_file = !source.starts_with('-') && !source.contains(' ');
    is_file.then_some(source)
}

/// Converts a JSON pointer to Helm's syntax: `/a/b~1c/0` to `a.b/c[0]`.
pub fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            out.extend(["[", &segment, "]"]);
            continue;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&segment.replace('.', "\\."));
    }
    out
}

/// Converts `secrets.databaseUrl` to a JSON pointer. A dot after a backslash is part of the name.
pub fn pointer(path: &str) -> String {
    let mut out = String::from("/");
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next()),
            '.' => out.push('/'),
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_paths_are_converted_both_ways() {
        assert_eq!(dotted("/a/b~1c/0/d.e"), "a.b/c[0].d\\.e");
        assert_eq!(pointer("secrets.databaseUrl"), "/secrets/databaseUrl");
        assert_eq!(pointer("a.d\\.e"), "/a/d.e");
    }
}
