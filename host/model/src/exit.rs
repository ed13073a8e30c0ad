//! Exit codes: one per class of outcome, so that scripts can distinguish them.
//!
//! Owns the numbers and their meaning. Each module's error type maps its errors to them.

use serde::Serialize;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded, or had nothing to do.
    Success = 0,
    /// A defect of this program.
    Internal = 1,
    /// Wrong arguments, project file or values.
    Usage = 2,
    /// A check failed.
    Check = 3,
    /// A secret is missing or was used in the wrong place.
    Secret = 4,
    /// The target or its cluster cannot be reached, or its context does not exist.
    Unreachable = 5,
    /// A tool that a step needs is missing or cannot run.
    Tool = 6,
    /// The build of an image failed.
    Build = 7,
    /// The manifests could not be rendered.
    Render = 8,
    /// No object uses an image, or its delivery to the cluster failed.
    Image = 9,
    /// The cluster refused an object.
    Apply = 10,
    /// The app did not become ready, or a probe failed.
    Verify = 11,
    /// A plugin misbehaved, is missing, or lacks a grant.
    Plugin = 12,
    /// A check has warnings and no failures, for commands that only check.
    Warning = 13,
    /// The user stopped the run.
    Cancelled = 130,
    /// A deploy would change the cluster, for `diff`.
    Difference,
}

impl Exit {
    /// The number for the operating system.
    pub const fn code(self) -> u8 {
        match self {
            // Scripts expect this number of a `diff`. A usage error has the same number, but prints an error on stderr.
            Self::Difference => 2,
            other => other as u8,
        }
    }
}
