//! Reports: how a run ended, the state and history of a release, and the archive of a failed revision.

mod archive;
pub(super) mod failure_report;
mod findings;
pub(super) mod history;
pub(super) mod outcome;
pub(super) mod status;

pub(super) use self::findings::Findings;
