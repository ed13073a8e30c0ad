//! A deployment host: it owns the deploy transaction and hands every step to a sandboxed component.
//!
//! Data goes one way: arguments → Plan → steps → capabilities → events. Owns the command line, the terminal, the plan
//! and its execution. Objects, secrets, the cluster, releases, the project and components are crates of their own.

pub mod bundle;
pub mod cli;
pub mod plan;
pub mod run;
pub mod ui;
pub mod unified_diff;
