//! Taking a target's cluster away, with everything in it.
//!
//! Owns what is never taken away: what is not on this machine, and what is not there. Whether the target made the
//! cluster, and how it goes, is the target's to say.

use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use super::Run;
use super::candidates::{Candidate, ask, context};
use super::error::RunError;
use crate::plan::Planner;
use todohost_model::exit::Exit;

/// Deleting machines takes its time.
const DEADLINE: Duration = Duration::from_mins(10);

/// Why no cluster is taken away.
#[derive(Debug, Error, Diagnostic)]
pub enum TeardownError {
    /// It may be others', too.
    #[error("the cluster of target {target} is not known to be on this machine{detail}")]
    #[diagnostic(
        code(todohost::target::not_local),
        help(
            "only clusters of this machine are taken away; delete others with the tool that made them. To take the app away: todohost delete --target {target}"
        )
    )]
    NotLocal {
        /// The target.
        target: String,
        /// What the target says of it.
        detail: String,
    },
    /// There is nothing to take away.
    #[error("target {target} has no cluster{detail}")]
    #[diagnostic(
        code(todohost::target::absent),
        help("`todohost target list` shows what there is")
    )]
    Absent {
        /// The target.
        target: String,
        /// What the target says of it.
        detail: String,
    },
}

impl TeardownError {
    /// Exit code of a run that ends with it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NotLocal { .. } => Exit::Usage,
            Self::Absent { .. } => Exit::Unreachable,
        }
    }
}

/// The cluster of a target, if it may be taken away.
///
/// # Errors
/// Where there is none, or it is not on this machine.
pub async fn doomed(run: &Run, target: &str) -> Result<Candidate, RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let chosen = planner.target(target)?;
    let candidate = ask(run, target.to_owned(), chosen).await;
    let detail = match candidate.detail.as_str() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    let target = target.to_owned();
    if candidate.state == "absent" {
        return Err(TeardownError::Absent { target, detail }.into());
    }
    if !candidate.local {
        return Err(TeardownError::NotLocal { target, detail }.into());
    }
    Ok(candidate)
}

/// Has the target take its cluster away.
///
/// # Errors
/// Where it makes none, or something is left.
pub async fn tear_down(run: &Run, target: &str) -> Result<(), RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let chosen = planner.target(target)?;
    let mut plugin = run.runtime.load(&chosen.info)?.target(context(run, DEADLINE))?;
    Ok(plugin.teardown(chosen.options.to_string()).await?)
}
