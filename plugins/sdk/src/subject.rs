//! What a check is asked about: one JSON document per phase.
//!
//! Documents grow: fields that are not named here are kept in [`Subject::value`] and ignored by the types.

use crate::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The document, as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject(Value);

impl Subject {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn new(text: &str) -> Result<Self> {
        Ok(Self(serde_json::from_str(text)?))
    }

    /// The document itself.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The name of the phase, where the document says it.
    pub fn phase(&self) -> Option<&str> {
        self.0["phase"].as_str()
    }

    /// The document of the phase `preflight`.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn preflight(&self) -> Result<Preflight> {
        self.parse()
    }

    /// The document of the phase `source`.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn source(&self) -> Result<Source> {
        self.parse()
    }

    /// The document of the phase `values`.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn values(&self) -> Result<Values> {
        self.parse()
    }

    /// The document of the phase `rendered`.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn rendered(&self) -> Result<Rendered> {
        self.parse()
    }

    /// The document of the phase `live`.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn live(&self) -> Result<Live> {
        self.parse()
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(T::deserialize(&self.0)?)
    }
}

/// The app that is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    /// Also the name of the release.
    pub name: String,
    /// Where it goes.
    pub namespace: String,
}

/// Before anything else: which app goes where.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Preflight {
    /// The app.
    pub app: App,
    /// The target and its status.
    pub target: Value,
}

/// The project's files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// The app.
    pub app: App,
    /// Paths relative to the project.
    pub files: Vec<String>,
}

/// The values, with where each came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Values {
    /// The text of the chart's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// The chart's own values.
    #[serde(default)]
    pub defaults: Value,
    /// What was laid over them, in order.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// What the chart gets.
    pub effective: Value,
    /// The paths that are secret.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
}

/// One file or one argument with values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Layer {
    /// A file's name, or the argument (`--set a.b=...`).
    pub source: String,
    /// What it sets.
    pub values: Value,
}

/// What the project says of a secret value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Secret {
    /// Whether the deploy needs it.
    pub required: bool,
}

/// The objects that are about to be applied.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rendered {
    /// The app.
    pub app: App,
    /// Every object, in order.
    pub objects: Vec<Value>,
    /// The images that were built for it.
    #[serde(default)]
    pub images: Vec<RenderedImage>,
    /// The target, as before anything was rendered; null where no cluster was reached.
    #[serde(default)]
    pub target: Value,
}

/// The objects of the release as they are in the cluster, after they were verified.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Live {
    /// The app.
    pub app: App,
    /// Every object that is there, with tokens for what Secrets hold.
    pub objects: Vec<Value>,
}

/// An image of the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RenderedImage {
    /// Its name in the project.
    pub name: String,
    /// The reference that objects have to name.
    pub reference: String,
    /// What it is for, e.g. `linux/arm64`; empty where nobody knows before it is built.
    #[serde(default)]
    pub platform: String,
    /// What else is said of it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_grow() {
        let subject = Subject::new(
            r#"{"phase": "source", "app": {"name": "a", "namespace": "b", "new": 1}, "files": ["x"], "new": {}}"#,
        )
        .unwrap();
        assert_eq!(subject.phase(), Some("source"));
        assert_eq!(subject.source().unwrap().files, ["x"]);
        assert!(subject.rendered().is_err());
    }

    #[test]
    fn values_name_their_layers() {
        let subject = Subject::new(
            r#"{"schema": null, "defaults": {}, "effective": {"a": 1},
                "layers": [{"source": "--set a=1", "values": {"a": 1}}],
                "secrets": {"s.t": {"required": true}, "s.u": {}}}"#,
        )
        .unwrap();
        let values = subject.values().unwrap();
        assert_eq!(values.layers[0].source, "--set a=1");
        assert!(values.secrets["s.t"].required);
        assert!(!values.secrets["s.u"].required);
    }
}
