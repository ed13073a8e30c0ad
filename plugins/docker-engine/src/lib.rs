//! What the plugins around Docker share: is the engine there, and which images does it have.
//!
//! A library, not a plugin. It asks the engine only through the `docker` program; who uses it requests
//! `docker version --format *` and `docker image inspect **`.

mod engine;
mod image;

pub use engine::{Engine, Facts, ask, not_running, require, says_not_running};
pub use image::{ImageFacts, inspect, missing};
