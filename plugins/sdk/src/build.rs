//! The step `build`: a source folder becomes an image.

use crate::bindings::build::exports::todohost::plugin::build as wit;
use crate::{Error, Image, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{ImageSpec, InputSet};

/// A builder of images.
pub trait Build {
    /// What the project may set for the builder.
    type Options: DeserializeOwned;

    /// What the image depends on. The host digests the files itself and makes the content tag from it, so the
    /// answer must be the same as long as the image would be.
    ///
    /// # Errors
    /// When an input is missing or cannot be understood.
    fn inputs(options: Self::Options, spec: ImageSpec) -> Result<InputSet>;

    /// Builds the image with all of the spec's tags.
    ///
    /// # Errors
    /// When it does not build: with the failing instruction and its last lines as causes.
    fn build(options: Self::Options, spec: ImageSpec) -> Result<Image>;
}

/// Turns a [`Build`] into the export.
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Build> wit::Guest for Adapter<T> {
    fn inputs(options: String, spec: ImageSpec) -> Result<InputSet, Error> {
        panic::report_panics();
        T::inputs(options::parse(&options)?, spec)
    }

    fn build(options: String, spec: ImageSpec) -> Result<Image, Error> {
        panic::report_panics();
        T::build(options::parse(&options)?, spec)
    }
}
