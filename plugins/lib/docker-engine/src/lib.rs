//! Library for plugins that use Docker: the state of the engine, its images, and delivery of images to nodes that are
//! containers.
//!
//! It uses the engine only through the program `docker`. A plugin that uses this library must request `process-exec`
//! for `docker version --format *`, `docker info --format *`, `docker image inspect **` and `docker image rm *`; for
//! nodes also for `docker port * *`, `docker save **`, and `docker exec` with the commands in `store::Runtime`, `node`
//! and `room`.

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
