//! Scripted worlds in which the real `todohost` binary runs.
//!
//! For whole-program tests of the host, and for authors of plugins who want to see their built
//! component in the host that users have. Nothing of the host is linked or imitated here: what is
//! scripted is the world around it.
//!
//! - [`FakeCluster`]: an HTTP server on loopback that speaks the Kubernetes API well enough.
//! - [`FakeTools`]: programs such as a container builder that answer from a script.
//! - [`Project`]: a folder with `todohost.toml`, a chart and build contexts, and a home beside it.
//! - [`Host`]: the binary with an environment of its own, run to its end or interrupted.
//! - [`Sandbox`]: one component, consented to or not, run as a check in such a world.
//! - [`leak`]: finds a secret value in bytes, however often it was encoded or compressed.
//! - [`filter`]: what differs from run to run and is taken out of snapshots.
//!
//! # What is faithful
//!
//! Discovery, object identity (`uid`, `resourceVersion`, `generation`), list and watch from a
//! resource version, preconditions of deletes, server-side apply with field ownership, removal of
//! fields that an applier gave up, conflicts with the fields and managers named, a dry run that
//! writes nothing, and an apply that changes nothing leaving the resource version alone.
//!
//! # What is not
//!
//! No schema validation, no defaulting beyond a Service's addresses, no admission, no TLS, no
//! authentication, no quota, no pagination, no bookmarks, no protobuf. Only Deployments and Jobs
//! have a controller, and what pods do is what the script says; nothing runs. Lists are merged by
//! the keys of the built-in kinds' well-known lists, all other lists are replaced whole. A world
//! that passes here proves the host's own logic; only a real cluster proves the rest.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test world fails a test by panicking with what went wrong"
)]

pub mod cluster;
pub mod filter;
pub mod host;
pub mod leak;
pub mod project;
pub mod proxy;
pub mod sandbox;
pub mod tools;

pub use cluster::{Behaviour, FakeCluster, Fault, Refusal};
pub use host::{Finished, Host, Running};
pub use project::Project;
pub use proxy::{FaultProxy, Strike};
pub use sandbox::Sandbox;
pub use tools::{FakeTools, Rule};
