//! Constructors of [`Finding`], [`ObjectRef`] and [`Label`].

use crate::{Finding, Label, ObjectRef, Outcome};

/// A finding is a result for the user, if possible with the file and place to edit.
///
/// ```
/// use todohost_plugin::Finding;
///
/// let finding = Finding::failed("replicas.zero", "Deployment/web has 0 replicas")
///     .file("helm/values.yaml")
///     .pointer("/web/replicas")
///     .help("set web.replicas to 1 or more");
/// assert_eq!(finding.file.as_deref(), Some("helm/values.yaml"));
/// ```
impl Finding {
    /// Creates a finding. `code` is dotted and stable, for example `labels.missing`.
    pub fn new(outcome: Outcome, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            outcome,
            code: code.into(),
            message: message.into(),
            evidence: Vec::new(),
            help: None,
            file: None,
            pointer: None,
            span: None,
            object: None,
        }
    }

    /// A passed check; the message is the evidence.
    pub fn passed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Passed, code, message)
    }

    /// A problem that does not stop the deploy.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, code, message)
    }

    /// A problem that stops the deploy.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, code, message)
    }

    /// Sets the help line: a command or an edit that solves the problem.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a line that proves the finding, for example from a container's log.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Sets the file to edit, relative to the project's folder.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the place in the file as a JSON pointer (`/spec/replicas`).
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Sets the place in the file as byte offsets.
    #[must_use]
    pub fn span(mut self, start: u32, end: u32) -> Self {
        self.span = Some((start, end));
        self
    }

    /// Sets the affected object.
    #[must_use]
    pub fn object(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }
}

impl ObjectRef {
    /// Creates the reference of a Kubernetes object from its JSON document; missing parts become empty.
    pub fn of(object: &serde_json::Value) -> Self {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            api_version: text(&object["apiVersion"]),
            kind: text(&object["kind"]),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: text(&object["metadata"]["name"]),
        }
    }
}

impl Label {
    /// Creates a key-value pair.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_read_from_the_object() {
        let object = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"}});
        let reference = ObjectRef::of(&object);
        assert_eq!(reference.kind, "Deployment");
        assert_eq!(reference.namespace.as_deref(), Some("shop"));
        assert_eq!(ObjectRef::of(&serde_json::Value::Null).name, "");
    }

    #[test]
    fn builder_sets_file_pointer_and_span() {
        let finding =
            Finding::failed("a.b", "no").file("values.yaml").pointer("/a").span(1, 2).help("do");
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.span, Some((1, 2)));
        assert_eq!(finding.pointer.as_deref(), Some("/a"));
    }
}
