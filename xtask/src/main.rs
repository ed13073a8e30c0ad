//! Builds what cargo alone cannot: `cargo run --release -p xtask -- plugins`.

#![expect(clippy::print_stdout, reason = "a build tool reports progress on standard output")]

mod component;
mod digest;
mod engine;
mod manifest;
mod plugins;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Builds what cargo alone cannot")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the core plugins into components, and the list of their digests
    Plugins {
        /// Build only the plugin with this id
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> miette::Result<()> {
    match Arguments::parse().task {
        Task::Plugins { only } => plugins::build(only.as_deref())?,
    }
    Ok(())
}
