//! Scripted environments for tests that run the real `todohost` binary.
//!
//! The crate serves tests of the whole program, and authors of plugins who test a built component in the real host. It
//! neither links nor imitates the host; it scripts the environment around it.
//!
//! - [`FakeCluster`]: an HTTP server on loopback that implements a part of the Kubernetes API.
//! - [`FakeTools`]: scripted programs, for example a container builder.
//! - [`Project`]: a folder with `todohost.toml`, a chart and build contexts, and a home folder beside it.
//! - [`Host`]: runs the binary in a clean environment, to its end or until it is interrupted.
//! - [`Sandbox`]: runs one component as a check of a project, with or without the user's consent.
//! - [`leak`]: finds a secret value in bytes, also if it is encoded or compressed several times.
//! - [`filter`]: replaces values in snapshots that differ from run to run.
//!
//! # Faithful behaviour
//!
//! Discovery, object identity (`uid`, `resourceVersion`, `generation`), list and watch from a
//! resource version, preconditions of deletes, server-side apply with field ownership, removal of
//! fields that an applier gave up, conflicts with their fields and managers, and dry runs that
//! write nothing. An apply without changes keeps the resource version.
//!
//! # Missing behaviour
//!
//! No schema validation, no defaulting beyond a Service's addresses, no admission, no TLS, no
//! authentication, no quota, no pagination, no bookmarks, no protobuf. Only Deployments and Jobs
//! have a controller. Containers do not run; the script sets the statuses of pods. The well-known
//! lists of built-in kinds are merged by their keys, all other lists are replaced whole. A test
//! against the scripted cluster proves the host's logic; only a real cluster proves the rest.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "testkit code fails a test by a panic with the cause"
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
