//! The data that every other crate of the host shares.
//!
//! Owns references to Kubernetes objects, the event stream of a run, findings and failures, exit codes, paths of
//! fields and values, text that is safe to show, files that only the user may read, digests, and the environment of
//! the process. It does not talk to a cluster, does not run a component, and depends on no other crate of this
//! workspace.

pub mod digest;
pub mod environment;
pub mod event;
pub mod exit;
pub mod field;
pub mod object;
pub mod option_mistake;
pub mod private_file;
pub mod suggestion;
pub mod text;
pub mod value_path;
