//! Tasks that cargo alone cannot do: `cargo xtask plugins` and `cargo xtask documents`.

#![expect(clippy::print_stdout, reason = "a build tool reports progress on standard output")]

mod component;
mod dep_info;
mod digest;
mod documents;
mod engine;
mod manifest;
mod plugins;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Build tasks beyond cargo")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the core plugins as components, and the list of their digests
    Plugins {
        /// Build only the plugin with this id
        #[arg(long)]
        only: Option<String>,
    },
    /// Write the generated parts of the documents
    Documents {
        /// Write nothing, and fail if a document is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> miette::Result<()> {
    match Arguments::parse().task {
        Task::Plugins { only } => plugins::build(only.as_deref())?,
        Task::Documents { check } => documents::make(check)?,
    }
    Ok(())
}
