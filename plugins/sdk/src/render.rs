//! The step `render`: a chart and values become manifests.

use crate::bindings::render::exports::todohost::plugin::render as wit;
use crate::{Error, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Hook, Manifest, Rendered, Request, Values, ValuesFile};

/// A renderer: a pure function of its request and the project's files.
pub trait Render {
    /// What the project may set for the renderer.
    type Options: DeserializeOwned;

    /// Renders. Secrets arrive as placeholders that must reach the output whole.
    ///
    /// # Errors
    /// When the source does not render: with its file and line.
    fn render(options: Self::Options, request: Request) -> Result<Rendered>;
}

/// Turns a [`Render`] into the export.
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Render> wit::Guest for Adapter<T> {
    fn render(request: Request) -> Result<Rendered, Error> {
        panic::report_panics();
        T::render(options::parse(&request.options)?, request)
    }
}
