//! Locations in files and objects that findings point to.

use std::fmt;
use todohost_plugin::{Finding, ObjectRef};

/// A line of a file, a value in a file, or a field of a rendered object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    file: Option<String>,
    /// Counted from 1.
    line: Option<usize>,
    span: Option<(u32, u32)>,
    pointer: Option<String>,
    object: Option<ObjectRef>,
}

impl Location {
    /// A whole file.
    pub fn file(path: &str) -> Self {
        Self { file: Some(path.to_owned()), ..Self::default() }
    }

    /// The line of a file that contains this byte.
    pub fn line(path: &str, text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or_default();
        let end =
            text.get(byte..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| byte + at);
        let span = u32::try_from(byte).ok().zip(u32::try_from(end).ok());
        Self { line: Some(before.matches('\n').count() + 1), span, ..Self::file(path) }
    }

    /// A value in a file, by its JSON pointer.
    pub fn value(path: &str, pointer: String) -> Self {
        Self { pointer: Some(pointer), ..Self::file(path) }
    }

    /// A field of a rendered object, with the object's template if known.
    pub fn field(object: ObjectRef, pointer: String, template: Option<Self>) -> Self {
        Self { object: Some(object), pointer: Some(pointer), ..template.unwrap_or_default() }
    }

    /// The short form for a list of locations: the file with its line, or the object.
    pub fn short(&self) -> String {
        match (&self.object, &self.file, self.line) {
            (Some(object), ..) => format!("{}/{}", object.kind, object.name),
            (None, Some(file), Some(line)) => format!("{file}:{line}"),
            (None, file, _) => file.clone().unwrap_or_default(),
        }
    }

    /// Points a finding at this location.
    pub fn mark(&self, mut finding: Finding) -> Finding {
        finding.file.clone_from(&self.file);
        finding.span = self.span;
        finding.pointer.clone_from(&self.pointer);
        finding.object.clone_from(&self.object);
        finding
    }
}

/// `backend/Dockerfile:3`, `values.yaml /a/b`, `Deployment/web /spec/x (templates/web.yaml:2)`.
impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.short())?;
        if let Some(pointer) = &self.pointer {
            write!(out, " {pointer}")?;
        }
        match (&self.object, &self.file, self.line) {
            (Some(_), Some(file), Some(line)) => write!(out, " ({file}:{line})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_formatted_for_people() {
        let line = Location::line("a/Dockerfile", "FROM x\nUSER y\nCMD z\n", 7);
        assert_eq!(line.to_string(), "a/Dockerfile:2");
        assert_eq!(line.span, Some((7, 13)));
        assert_eq!(Location::value("v.yaml", "/a/b".into()).to_string(), "v.yaml /a/b");
        let object = ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: None,
            name: "web".into(),
        };
        let field = Location::field(object, "/spec".into(), Some(line));
        assert_eq!(field.to_string(), "Deployment/web /spec (a/Dockerfile:2)");
        let finding = field.mark(Finding::failed("a.b", "c"));
        assert_eq!(finding.file.as_deref(), Some("a/Dockerfile"));
        assert_eq!(finding.pointer.as_deref(), Some("/spec"));
    }
}
