//! The step `render`: renders manifests from a chart and values.
//!
//! ```no_run
//! use todohost_plugin::render::{Manifest, Rendered, Request};
//! use todohost_plugin::{NoOptions, Render, Result, workspace};
//!
//! struct PlainFiles;
//!
//! impl Render for PlainFiles {
//!     type Options = NoOptions;
//!
//!     /// Returns the YAML files of the source folder unchanged. Needs the grant `workspace-read` for them.
//!     fn render(_options: NoOptions, request: Request) -> Result<Rendered> {
//!         let mut manifests = Vec::new();
//!         for entry in workspace::glob(&format!("{}/*.yaml", request.source))? {
//!             let content = workspace::read_text(&entry.path)?;
//!             manifests.push(Manifest { source: entry.path, content });
//!         }
//!         Ok(Rendered {
//!             manifests,
//!             hooks: Vec::new(),
//!             definitions: Vec::new(),
//!             notes: String::new(),
//!             chart: "{}".into(),
//!             config: "{}".into(),
//!             effective: "{}".into(),
//!             findings: Vec::new(),
//!         })
//!     }
//! }
//!
//! todohost_plugin::export!(PlainFiles: render);
//! # fn main() {}
//! ```

use crate::bindings::render::exports::todohost::plugin::render as wit;
use crate::{Error, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Hook, Manifest, Rendered, Request, Values, ValuesFile};

/// Renders manifests. A pure function of the request and the project's files.
pub trait Render {
    /// The options that a project can set for the renderer.
    type Options: DeserializeOwned;

    /// Renders the source. The values contain placeholders for secrets; the output must contain each of them unchanged.
    ///
    /// # Errors
    /// Fails if the source does not render; the message names the file and line.
    fn render(options: Self::Options, request: Request) -> Result<Rendered>;
}

/// Implements the component's export by a [`Render`].
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Render> wit::Guest for Adapter<T> {
    fn render(request: Request) -> Result<Rendered, Error> {
        panic::report_panics();
        T::render(options::parse(&request.options)?, request)
    }
}
