//! The program: the command line and the terminal.
//!
//! Data goes one way: arguments → Plan → steps → capabilities → events. The engine executes the plan; objects, secrets,
//! the cluster, releases, the project and components are crates of their own.

pub mod cli;
pub mod ui;
