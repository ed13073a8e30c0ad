//! The step `build`: builds an image from a source folder.
//!
//! ```no_run
//! use todohost_plugin::build::{ImageSpec, InputSet};
//! use todohost_plugin::process::Command;
//! use todohost_plugin::{Build, Image, NoOptions, Result};
//!
//! struct Podman;
//!
//! impl Build for Podman {
//!     type Options = NoOptions;
//!
//!     fn inputs(_options: NoOptions, spec: ImageSpec) -> Result<InputSet> {
//!         Ok(InputSet { paths: vec![spec.context], ignore: Vec::new(), bases: Vec::new() })
//!     }
//!
//!     /// Needs the grant `process-exec` for `podman build **`.
//!     fn build(_options: NoOptions, spec: ImageSpec) -> Result<Image> {
//!         let tags = spec.tags.iter().map(|tag| format!("--tag={tag}"));
//!         let command = Command::new("podman").args(["build", "--quiet"]).args(tags).arg(spec.context);
//!         let output = command.run()?;
//!         if !output.success() {
//!             return Err(output.to_error("podman.build-failed", format!("cannot build {}", spec.name)));
//!         }
//!         Ok(Image {
//!             reference: spec.tags.first().cloned().unwrap_or_default(),
//!             id: output.stdout_text().trim().to_owned(),
//!             name: spec.name,
//!             platform: spec.platform.unwrap_or_default(),
//!             size: 0,
//!         })
//!     }
//! }
//!
//! todohost_plugin::export!(Podman: build);
//! # fn main() {}
//! ```

use crate::bindings::build::exports::todohost::plugin::build as wit;
use crate::{Error, Image, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{ImageSpec, InputSet};

/// Builds images.
pub trait Build {
    /// The options that a project can set for the builder.
    type Options: DeserializeOwned;

    /// Lists the inputs of the image. The host computes the content tag from them and from a digest of the files, so
    /// the inputs must change exactly when the image would change.
    ///
    /// # Errors
    /// Fails if an input is missing or malformed.
    fn inputs(options: Self::Options, spec: ImageSpec) -> Result<InputSet>;

    /// Builds the image and gives it all tags of the spec.
    ///
    /// # Errors
    /// Fails if the build fails. The causes are the failing instruction and its last lines of output.
    fn build(options: Self::Options, spec: ImageSpec) -> Result<Image>;
}

/// Implements the component's export by a [`Build`].
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
