//! What the plugins around Docker share: is the engine there, which images does it have, and how do they get into
//! nodes that are containers of it.
//!
//! A library, not a plugin. It asks the engine only through the `docker` program; who uses it requests
//! `docker version --format *`, `docker info --format *`, `docker image inspect **` and `docker image rm *`, and for nodes
//! `docker port * *`, `docker save **` and the commands inside of them that `Runtime`, `node` and `room` name.

mod engine;
mod image;
pub mod node;
mod port;
pub mod room;
pub mod store;

pub use engine::{Engine, Facts, ask, not_running, require, says_not_running};
pub use image::{ImageFacts, inspect, missing, remove};
pub use port::{published, publisher};
pub use store::Runtime;
