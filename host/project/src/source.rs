//! The text of a project file, and the places of keys and values in it.
//!
//! The model does not keep places. They are searched when an error needs one.

use std::ops::Range;

use miette::{NamedSource, SourceSpan};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a project file, and its name in errors.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name in errors.
    pub(super) name: String,
    pub(super) text: String,
}

/// A place in a project file, as errors show it.
pub(super) struct Position {
    pub line: usize,
    pub span: SourceSpan,
}

impl Source {
    /// A project file's text.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// The place of the key at a path of keys and array indices, or of the nearest key above it in the file.
    pub(super) fn key(&self, path: &[String]) -> Position {
        self.at(self.spans(path).map_or(0..0, |(key, _)| key))
    }

    /// The place of that key's value.
    pub(super) fn value(&self, path: &[String]) -> Position {
        self.at(self.spans(path).map_or(0..0, |(_, value)| value))
    }

    /// The text for the snippet of an error.
    pub(super) fn shown(&self) -> NamedSource<String> {
        NamedSource::new(&self.name, self.text.clone()).with_language("toml")
    }

    /// A byte range with its line.
    pub(super) fn at(&self, span: Range<usize>) -> Position {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Position { line, span: SourceSpan::from(span) }
    }

    fn spans(&self, path: &[String]) -> Option<(Range<usize>, Range<usize>)> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut found = None;
        let mut inside = Inside::Table(table.get_ref());
        for part in path {
            let (key, value): (Range<usize>, &Spanned<DeValue<'_>>) = match inside {
                Inside::Table(table) => match table.iter().find(|(key, _)| key.get_ref() == part) {
                    Some((key, value)) => (key.span(), value),
                    None => break,
                },
                Inside::Array(items) => match part.parse().ok().and_then(|at: usize| items.get(at))
                {
                    Some(item) => (item.span(), item),
                    None => break,
                },
            };
            found = Some((key, value.span()));
            inside = match value.get_ref() {
                DeValue::Table(table) => Inside::Table(table),
                DeValue::Array(items) => Inside::Array(items),
                _ => break,
            };
        }
        found
    }
}

enum Inside<'a> {
    Table(&'a DeTable<'a>),
    Array(&'a [Spanned<DeValue<'a>>]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_found_however_they_are_written() {
        let text = "[checks.a]\nplugin = \"x\"\noptions = { list = [1,\n 2], n = 3 }\n\
                    [checks.a-b.options]\n\"a.b\" = 1\n";
        let source = Source::new("todohost.toml", text);
        let path = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        let shown = |place: &Position| {
            text[place.span.offset()..place.span.offset() + place.span.len()].to_owned()
        };
        let list = source.value(&path(&["checks", "a", "options", "list", "1"]));
        assert_eq!((list.line, shown(&list).as_str()), (4, "2"));
        let key = source.key(&path(&["checks", "a", "options", "n"]));
        assert_eq!((key.line, shown(&key).as_str()), (4, "n"));
        let dotted = source.key(&path(&["checks", "a-b", "options", "a.b"]));
        assert_eq!(dotted.line, 6);
        let above = source.key(&path(&["checks", "a", "options", "absent"]));
        assert_eq!((above.line, shown(&above).as_str()), (3, "options"));
        assert_eq!(source.key(&path(&["absent"])).line, 1);
    }
}
