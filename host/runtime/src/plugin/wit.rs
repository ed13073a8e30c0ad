//! The contract `todohost:plugin` as Rust types.
//!
//! Generated from `wit/` for all roles together, so that they share one set of types. `grant` decides which interfaces a
//! component may import.

/// Version of the package `todohost:plugin` that this host supports.
pub const API_VERSION: &str = "0.0.1";

pub(crate) mod bindings {
    #![expect(missing_docs, reason = "generated; the WIT files are the documentation")]

    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package todohost:host;
            world every-role {
                include todohost:plugin/target-plugin@0.0.1;
                include todohost:plugin/build-plugin@0.0.1;
                include todohost:plugin/render-plugin@0.0.1;
                include todohost:plugin/apply-plugin@0.0.1;
                include todohost:plugin/verify-plugin@0.0.1;
                include todohost:plugin/check-plugin@0.0.1;
            }
        ",
        world: "todohost:host/every-role",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "todohost:plugin/log.progress": crate::capability::log::ProgressLine,
            "todohost:plugin/process.child": crate::capability::process::ChildLines,
            "todohost:plugin/tcp.connection": crate::capability::tcp::TcpConnection,
        },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub use bindings::exports::todohost::plugin::{apply, build, check, render, target, verify};
pub(crate) use bindings::todohost::plugin as imports;
pub use bindings::todohost::plugin::types::{
    Command, Error, ErrorKind, Finding, Image, Label, ObjectRef, Outcome,
};

/// The interface has only types, no functions.
impl imports::types::Host for super::State {}

impl Error {
    /// An error without causes and help.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), causes: Vec::new(), help: None }
    }

    /// Adds the help: the command or edit for the user.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds an error and its sources as causes.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }
}

impl From<ObjectRef> for todohost_model::object::ObjectRef {
    fn from(object: ObjectRef) -> Self {
        let ObjectRef { api_version, kind, namespace, name } = object;
        Self { api_version, kind, namespace, name }
    }
}

impl From<todohost_model::object::ObjectRef> for ObjectRef {
    fn from(object: todohost_model::object::ObjectRef) -> Self {
        let todohost_model::object::ObjectRef { api_version, kind, namespace, name } = object;
        Self { api_version, kind, namespace, name }
    }
}

impl Finding {
    /// The finding as an event of the check or plugin `source`.
    pub fn into_event(self, source: &str) -> todohost_model::event::Finding {
        use todohost_model::event::FindingOutcome;
        todohost_model::event::Finding {
            source: source.to_owned(),
            outcome: match self.outcome {
                Outcome::Passed => FindingOutcome::Passed,
                Outcome::Warning => FindingOutcome::Warning,
                Outcome::Failed => FindingOutcome::Failed,
                Outcome::NotJudged => FindingOutcome::NotJudged,
            },
            code: self.code,
            message: self.message,
            evidence: self.evidence,
            help: self.help,
            file: self.file,
            pointer: self.pointer,
            object: self.object.map(Into::into),
        }
    }
}
