//! Exit codes: one per class of outcome, so that scripts can tell them apart.
//!
//! Owns the numbers and their meaning. Each module's error says which of them it is.

use serde::Serialize;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done, or nothing had to be.
    Success = 0,
    /// A defect of this program.
    Internal = 1,
    /// Wrong arguments, project file or values.
    Usage = 2,
    /// A check failed.
    Check = 3,
    /// A secret is missing or was used where it may not be.
    Secret = 4,
    /// The target or its cluster cannot be reached, or its context does not exist.
    Unreachable = 5,
    /// A tool that a step needs is missing or does not run.
    Tool = 6,
    /// An image did not build.
    Build = 7,
    /// The manifests could not be rendered.
    Render = 8,
    /// An image is referenced by nothing, or did not get to the cluster.
    Image = 9,
    /// The cluster refused an object.
    Apply = 10,
    /// The app did not become ready, or a probe failed.
    Verify = 11,
    /// A plugin misbehaved, is missing, or lacks a grant.
    Plugin = 12,
    /// Nothing is wrong, but something deserves a look, where only that was asked.
    Warning = 13,
    /// The user stopped it.
    Cancelled = 130,
    /// There is a difference, where only that was asked.
    Difference,
}

impl Exit {
    /// The number that the operating system sees.
    pub const fn code(self) -> u8 {
        match self {
            // The number of `diff`, which scripts expect; what is wrong with the arguments is on stderr.
            Self::Difference => 2,
            other => other as u8,
        }
    }
}
