//! The whole binary against scripted worlds: what it says, how it exits, and what it leaves behind.
//!
//! A module per area. Snapshots hold what users read when something is refused: the exit code and
//! the error with its causes and its help; times, paths and digests are taken out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail tests by panicking")]

mod adoption;
mod bad_moments;
mod build;
mod check;
mod conflicts;
mod definitions;
mod deploy;
mod diff;
mod discard;
mod doctor;
mod faults;
mod forward;
mod guide;
mod help;
mod hooks;
mod house;
mod interrupt;
mod layers;
#[cfg(unix)]
mod lease;
mod output;
mod plan;
mod plugins;
mod project;
mod reach;
mod relay;
mod render;
mod rollback;
mod secrecy;
mod several;
mod target;
mod targets;
mod values;
mod verify;
mod waves;
mod world;
