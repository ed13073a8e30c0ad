//! SDK for `todohost` plugins. A plugin implements one step of a deploy as a sandboxed WebAssembly component.
//!
//! A plugin decides, the host acts. Implement the trait of the step and pass your type to [`export!`]:
//!
//! | Trait | Step |
//! |---|---|
//! | [`Check`] | inspects the project, the values, the rendered or the live objects, and reports findings |
//! | [`Target`] | supports one kind of cluster: detects it, starts it, delivers images to it |
//! | [`Build`] | builds an image from a source folder |
//! | [`Render`] | renders manifests from a chart or another source |
//! | [`Apply`] | plans the order in which objects are applied, kept and deleted |
//! | [`Verify`] | judges the health of deployed objects and explains failures |
//!
//! # A complete check
//!
//! A plugin consists of three files. `Cargo.toml`, in a folder beside a clone of the `todohost` repository:
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
//! todohost-plugin = { path = "../todohost/plugins/sdk" }
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! `plugin.toml`, the [manifest](#manifest):
//!
//! ```toml
//! id = "labels-check"
//! version = "0.1.0"
//! description = "Checks that every Deployment has the configured label"
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
//!         vec![CheckSpec::new("labels", "Deployments have the label", [Phase::Rendered])]
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
//!                 let message = format!("Deployment/{name} has no label {}", options.label);
//!                 Finding::failed("labels.missing", message)
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
//! Build the component with `cargo build --release --target wasm32-wasip2`. Then refer to it in the
//! `todohost.toml` of a project, here in a folder beside the plugin:
//!
//! ```toml
//! [checks.labels]
//! plugin = "../labels-check/target/wasm32-wasip2/release/labels_check.wasm"
//! ```
//!
//! The host asks the user once for consent to the plugin's requests.
//!
//! # Capabilities
//!
//! A component can call only the functions that its user granted, and it imports only the functions that it calls.
//! The modules [`workspace`], [`process`], [`cluster`], [`http`] and [`tcp`] are the capabilities. The documentation
//! of each function names the grant that it needs; a plugin asks for the grant in the `[requests]` of its manifest.
//! [`log`] and [`env`](mod@env) need no grant.
//!
//! # Manifest
//!
//! `plugin.toml` lies next to `Cargo.toml`. It holds the plugin's id, version and description, the schema of its
//! options and its requests. [`export!`] embeds it in the component as the custom section `todohost:manifest`, so the
//! `.wasm` file is all that you ship.
//!
//! # Tests
//!
//! Everything except the capabilities also works in a native build: put decisions into functions that take and
//! return data, and test them with `cargo test`, without a host. A capability called outside a host panics.

// The expanded macros, here and in plugins, refer to this crate as `todohost_plugin`.
#![warn(missing_docs)]

extern crate self as todohost_plugin;

pub mod apply;
#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "generated code takes over lists this way")]
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
