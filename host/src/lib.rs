//! A deployment host: it owns the deploy transaction and hands every step to a sandboxed component.
//!
//! Data goes one way: arguments → Plan → steps → capabilities → events.

// run, plan, project, values, digest, ui, cli, environment: the frame
pub mod bundle;
pub mod cli;
pub mod difference;
pub mod digest;
pub mod environment;
pub mod event;
pub mod exit;
pub mod field;
pub mod memo;
pub mod object;
pub mod plan;
mod private;
pub mod project;
pub mod run;
pub mod ui;
pub mod values;

// plugin, grant, capability: components and what they may call
pub mod capability;
pub mod grant;
pub mod plugin;

// cluster, release, secret: the transaction's two ends
pub mod cluster;
pub mod release;
pub mod secret;
