//! The whole binary against scripted worlds: its output, its exit codes, and the state it leaves behind.
//!
//! A module per area. Snapshots hold the messages for a refused command: exit code, error, causes and help. Times,
//! paths and digests are replaced by placeholders.

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
