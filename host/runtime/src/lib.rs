//! Components: finding them, granting their requests, and calling them with limits and deadlines.
//!
//! Owns the contract of `wit/` as Rust types, the manifest and the registry of plugins, the grants, and the functions
//! that a component may import. It does not decide when a component is called, and it does not act on an answer: both
//! belong to the engine.

pub mod capability;
pub mod grant;
pub mod plugin;
