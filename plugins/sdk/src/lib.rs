//! Write a plugin for `todohost`: one step of a deploy, as a sandboxed WebAssembly component.
//!
//! A plugin decides, the host acts. Implement the trait of the step that you want to take part in and
//! name your type in [`export!`]:
//!
//! | Trait | Step |
//! |---|---|
//! | [`Check`] | judges the project, the values or the rendered objects, and reports findings |
//! | [`Target`] | knows one kind of cluster: finds it, starts it, brings images to it |
//! | [`Build`] | turns a source folder into an image |
//! | [`Render`] | turns a chart, or whatever you render from, into manifests |
//! | [`Apply`] | decides in which order objects are applied, kept and deleted |
//! | [`Verify`] | judges whether what runs is healthy, and explains why not |
//!
//! # A whole check
//!
//! Three files make a plugin. `Cargo.toml`:
//!
//! ```toml
//! [package]
//! name = "labels-check"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! todohost-plugin = { path = "path/to/todohost/plugins/sdk" }
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! `plugin.toml`, which [`export!`] embeds in the component (see [Manifest](#manifest)):
//!
//! ```toml
//! id = "labels-check"
//! version = "0.1.0"
//! description = "Every Deployment carries the label you name"
//! [options]
//! schema = '''{"type": "object", "properties": {"label": {"type": "string"}}}'''
//! [requests]
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! use serde::Deserialize;
//! use todohost_plugin::check::{CheckSpec, Phase};
//! use todohost_plugin::subject::Subject;
//! use todohost_plugin::{Check, Finding, Result};
//!
//! struct LabelsCheck;
//!
//! #[derive(Deserialize)]
//! #[serde(default)]
//! struct Options {
//!     label: String,
//! }
//!
//! impl Default for Options {
//!     fn default() -> Self {
//!         Self { label: "app.kubernetes.io/name".into() }
//!     }
//! }
//!
//! impl Check for LabelsCheck {
//!     type Options = Options;
//!
//!     fn checks() -> Vec<CheckSpec> {
//!         vec![CheckSpec::new("labels", "Deployments carry their label", [Phase::Rendered])]
//!     }
//!
//!     fn run(_id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
//!         let rendered = subject.rendered()?;
//!         Ok(rendered
//!             .objects
//!             .iter()
//!             .filter(|object| object["kind"] == "Deployment")
//!             .filter(|object| object["metadata"]["labels"][&options.label].is_null())
//!             .map(|object| {
//!                 let name = object["metadata"]["name"].as_str().unwrap_or("?");
//!                 Finding::failed("labels.missing", format!("Deployment/{name} lacks {}", options.label))
//!                     .help(format!("add the label {} to the template", options.label))
//!             })
//!             .collect())
//!     }
//! }
//!
//! todohost_plugin::export!(LabelsCheck: check);
//! # fn main() {
//! # let subject = Subject::new(r#"{"phase": "rendered", "app": {"name": "a", "namespace": "a"},
//! #     "objects": [{"kind": "Deployment", "metadata": {"name": "web"}}], "images": []}"#).unwrap();
//! # assert_eq!(LabelsCheck::run("labels", Options::default(), &subject).unwrap().len(), 1);
//! # }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2`: the `.wasm` file is the component. Name it
//! in `todohost.toml` and consent once to what it asks for:
//!
//! ```toml
//! [checks.labels]
//! plugin = "path/to/labels_check.wasm"
//! ```
//!
//! # Capabilities
//!
//! A component can call only what its user granted; what you do not call is not even imported. The modules
//! [`workspace`], [`process`], [`cluster`], [`http`] and [`tcp`] are the capabilities, and each call names
//! the request that the manifest needs. [`log`] and [`env`](mod@env) are always there.
//!
//! # Manifest
//!
//! `plugin.toml` lies next to `Cargo.toml` and says who the plugin is, what options it takes and what it asks
//! for. [`export!`] embeds it in the custom section `todohost:manifest`, so the component is all that you ship.
//!
//! # Tests
//!
//! Everything but the capabilities works on your own machine's target: put decisions in functions that take
//! data and return data, and `cargo test` runs them without a host. A capability called outside a host panics.

// The macros that are expanded here and in plugins name this crate by its own name.
extern crate self as todohost_plugin;

pub mod apply;
#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "how the generated code takes over a list")]
pub mod bindings;
pub mod build;
pub mod check;
pub mod cluster;
pub mod env;
mod error;
mod export;
mod finding;
pub mod http;
pub mod log;
#[doc(hidden)]
pub mod options;
mod panic;
pub mod process;
pub mod render;
pub mod subject;
pub mod target;
pub mod tcp;
pub mod verify;
pub mod workspace;

pub use apply::Apply;
pub use bindings::host::todohost::plugin::types::{
    Error, ErrorKind, Finding, Image, Label, ObjectRef, Outcome,
};
pub use build::Build;
pub use check::Check;
pub use error::Result;
pub use options::NoOptions;
pub use render::Render;
pub use target::Target;
pub use verify::Verify;

#[doc(hidden)]
pub use wit_bindgen;
