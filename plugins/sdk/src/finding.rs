//! What a check, a renderer or an explanation tells the user, tied to a place that the user can edit.

use crate::{Finding, Label, ObjectRef, Outcome};

impl Finding {
    /// A finding with this outcome. `code` is dotted and stable, for example `labels.missing`.
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

    /// Judged and good; the message is the evidence.
    pub fn passed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Passed, code, message)
    }

    /// Worth a look; the deploy goes on.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, code, message)
    }

    /// Stops the deploy.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, code, message)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a line that shows it: what a container printed, what was reported.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// The project-relative file that has to be edited.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The place inside the file, as a JSON pointer (`/spec/replicas`).
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The place inside the file, as byte offsets.
    #[must_use]
    pub fn span(mut self, start: u32, end: u32) -> Self {
        self.span = Some((start, end));
        self
    }

    /// The object that the finding is about.
    #[must_use]
    pub fn object(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }
}

impl ObjectRef {
    /// The reference of a Kubernetes object given as a JSON document; absent parts are empty.
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
    /// A key with its value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_from_the_object() {
        let object = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"}});
        let reference = ObjectRef::of(&object);
        assert_eq!(reference.kind, "Deployment");
        assert_eq!(reference.namespace.as_deref(), Some("shop"));
        assert_eq!(ObjectRef::of(&serde_json::Value::Null).name, "");
    }

    #[test]
    fn the_builder_fills_the_place() {
        let finding =
            Finding::failed("a.b", "no").file("values.yaml").pointer("/a").span(1, 2).help("do");
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.span, Some((1, 2)));
        assert_eq!(finding.pointer.as_deref(), Some("/a"));
    }
}
