//! Deletes the cluster of a target, with everything in it.
//!
//! Refuses clusters that are not on this machine. The target decides whether it made the cluster, and how to delete
//! it.

use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use super::targets::{TargetState, TargetStatus, context, status};
use crate::Run;
use crate::error::RunError;
use crate::plan::Planner;
use todohost_model::exit::Exit;

/// Deleting machines takes its time.
const DEADLINE: Duration = Duration::from_mins(10);

/// Why the cluster is not deleted.
#[derive(Debug, Error, Diagnostic)]
pub enum DeleteClusterError {
    /// The cluster may be shared with others.
    #[error("the cluster of target {target} is not known to be on this machine{detail}")]
    #[diagnostic(
        code(todohost::target::not_local),
        help(
            "only clusters on this machine can be deleted here; use the tool that made this one. To delete only the app: todohost delete --target {target}"
        )
    )]
    NotLocal {
        /// Name of the target.
        target: String,
        /// The target's own description, with a leading `: `.
        detail: String,
    },
    /// The target has no cluster.
    #[error("target {target} has no cluster{detail}")]
    #[diagnostic(code(todohost::target::absent), help("list the clusters: todohost target list"))]
    Absent {
        /// Name of the target.
        target: String,
        /// The target's own description, with a leading `: `.
        detail: String,
    },
}

impl DeleteClusterError {
    /// Exit code of a run that ends with this error.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NotLocal { .. } => Exit::Usage,
            Self::Absent { .. } => Exit::Unreachable,
        }
    }
}

/// Looks up the cluster of a target that may be deleted.
///
/// # Errors
/// If there is none, or it is not on this machine.
pub async fn deletable_cluster(run: &Run, target: &str) -> Result<TargetStatus, RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let chosen = planner.target(target)?;
    let status = status(run, target.to_owned(), chosen).await;
    let detail = match status.detail.as_str() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    let target = target.to_owned();
    if status.state == TargetState::Absent {
        return Err(DeleteClusterError::Absent { target, detail }.into());
    }
    if !status.local {
        return Err(DeleteClusterError::NotLocal { target, detail }.into());
    }
    Ok(status)
}

/// Has the target delete its cluster.
///
/// # Errors
/// If the target makes no clusters, or could not delete all of it.
pub async fn delete_cluster(run: &Run, target: &str) -> Result<(), RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let chosen = planner.target(target)?;
    let mut plugin = run.runtime.load(&chosen.info)?.target(context(run, DEADLINE))?;
    Ok(plugin.teardown(chosen.options.to_string()).await?)
}
