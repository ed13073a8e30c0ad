//! Input of a check: one JSON document per phase, and the types to read it.
//!
//! Later versions of the host can add fields. The types ignore unknown fields; [`Subject::value`] keeps them.
//!
//! ```
//! use todohost_plugin::subject::Subject;
//!
//! # fn main() -> todohost_plugin::Result<()> {
//! let subject = Subject::new(
//!     r#"{"phase": "values", "effective": {"replicas": 2},
//!         "layers": [{"source": "--set replicas=2", "values": {"replicas": 2}}]}"#,
//! )?;
//! let values = subject.values()?;
//! assert_eq!(values.effective["replicas"], 2);
//! assert_eq!(values.layers[0].source, "--set replicas=2");
//! # Ok(())
//! # }
//! ```

use crate::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The unchanged document.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject(Value);

impl Subject {
    /// Parses a document.
    ///
    /// # Errors
    /// Fails if the text is not JSON.
    pub fn new(text: &str) -> Result<Self> {
        Ok(Self(serde_json::from_str(text)?))
    }

    /// The document with all its fields.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The name of the phase, if the document has one.
    pub fn phase(&self) -> Option<&str> {
        self.0["phase"].as_str()
    }

    /// The document of the phase `preflight`.
    ///
    /// # Errors
    /// Fails if the document has another shape.
    pub fn preflight(&self) -> Result<Preflight> {
        self.parse()
    }

    /// The document of the phase `source`.
    ///
    /// # Errors
    /// Fails if the document has another shape.
    pub fn source(&self) -> Result<Source> {
        self.parse()
    }

    /// The document of the phase `values`.
    ///
    /// # Errors
    /// Fails if the document has another shape.
    pub fn values(&self) -> Result<Values> {
        self.parse()
    }

    /// The document of the phase `rendered`.
    ///
    /// # Errors
    /// Fails if the document has another shape.
    pub fn rendered(&self) -> Result<Rendered> {
        self.parse()
    }

    /// The document of the phase `live`.
    ///
    /// # Errors
    /// Fails if the document has another shape.
    pub fn live(&self) -> Result<Live> {
        self.parse()
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(T::deserialize(&self.0)?)
    }
}

/// The deployed app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    /// Name of the app and of its release.
    pub name: String,
    /// Namespace of its objects.
    pub namespace: String,
}

/// Document of the phase `preflight`, which runs once the target is connected.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Preflight {
    /// The deployed app.
    pub app: App,
    /// The target with its status.
    pub target: Value,
}

/// Document of the phase `source`: the project's files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// The deployed app.
    pub app: App,
    /// Paths of the files, relative to the project's folder.
    pub files: Vec<String>,
}

/// Document of the phase `values`: the values and the origin of each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Values {
    /// Text of the chart's `values.schema.json`.
    #[serde(default)]
    pub schema: Option<String>,
    /// Default values of the chart.
    #[serde(default)]
    pub defaults: Value,
    /// Values files and arguments that override the defaults, in order; later ones win.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Merged values that the chart receives.
    pub effective: Value,
    /// Secret values by their path, for example `database.url`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
}

/// Values from one file or one argument.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Layer {
    /// Name of the file, or the argument (`--set a.b=...`).
    pub source: String,
    /// Values set by this layer.
    pub values: Value,
}

/// Declaration of a secret value in the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Secret {
    /// Whether a deploy fails without the value.
    pub required: bool,
}

/// Document of the phase `rendered`: the objects before they are applied.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rendered {
    /// The deployed app.
    pub app: App,
    /// All rendered objects, in order.
    pub objects: Vec<Value>,
    /// Images built for this deploy.
    #[serde(default)]
    pub images: Vec<RenderedImage>,
    /// The target with its status from before the render; null without a connected cluster.
    #[serde(default)]
    pub target: Value,
}

/// Document of the phase `live`: the release's objects in the cluster, after verification.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Live {
    /// The deployed app.
    pub app: App,
    /// All objects that exist, with tokens in place of the data of Secrets.
    pub objects: Vec<Value>,
}

/// An image built from the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RenderedImage {
    /// Name of the image in `todohost.toml`.
    pub name: String,
    /// Reference by which objects use the image.
    pub reference: String,
    /// Platform, for example `linux/arm64`; empty if it is not known before the build.
    #[serde(default)]
    pub platform: String,
    /// All other fields.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored() {
        let subject = Subject::new(
            r#"{"phase": "source", "app": {"name": "a", "namespace": "b", "new": 1}, "files": ["x"], "new": {}}"#,
        )
        .unwrap();
        assert_eq!(subject.phase(), Some("source"));
        assert_eq!(subject.source().unwrap().files, ["x"]);
        assert!(subject.rendered().is_err());
    }

    #[test]
    fn values_keep_layers_and_secrets() {
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
