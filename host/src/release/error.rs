//! What can go wrong with a release.

use miette::Diagnostic;
use thiserror::Error;

use crate::cluster::ClusterError;
use crate::exit::Exit;
use crate::object::ObjectRef;
use crate::secret::SecretError;

/// A release could not be read, written, applied or rolled back.
#[derive(Debug, Error, Diagnostic)]
pub enum ReleaseError {
    /// The cluster did not do it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cluster(#[from] ClusterError),
    /// A secret is where it may not be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secret(#[from] SecretError),
    /// A stored revision is not what Helm writes.
    #[error("revision record {record} cannot be read: {reason}")]
    #[diagnostic(
        code(todohost::release::unreadable),
        help(
            "`kubectl get secret {record} -o yaml` shows it; restore it from a backup, or delete it to give that revision up"
        )
    )]
    Unreadable {
        /// Name of the Secret.
        record: String,
        /// Why.
        reason: String,
    },
    /// Someone else made the same revision first.
    #[error("revision {revision} of release {release} was made by someone else just now")]
    #[diagnostic(
        code(todohost::release::taken),
        help("wait until the other deploy is over, then run the command again")
    )]
    Taken {
        /// Name of the release.
        release: String,
        /// The revision.
        revision: u32,
    },
    /// Someone else is deploying.
    #[error("release {release} is being deployed by {person} since {since}")]
    #[diagnostic(
        code(todohost::release::held),
        help(
            "wait until that is over; a deploy that was killed is taken over by the next one by itself"
        )
    )]
    Held {
        /// Name of the release.
        release: String,
        /// Who, e.g. `ada@laptop`.
        person: String,
        /// Since when, as the holder's clock had it.
        since: String,
    },
    /// Someone else took the release over while this run worked on it.
    #[error(
        "another deploy took release {release} over while this one could not reach the cluster"
    )]
    #[diagnostic(
        code(todohost::release::lost),
        help("nothing more was written; `todohost status` shows what became of it")
    )]
    Lost {
        /// Name of the release.
        release: String,
    },
    /// The file that shows that this process lives cannot be kept.
    #[error("cannot lock {path}")]
    #[diagnostic(
        code(todohost::release::unlockable),
        help("give the cache directory of todohost room and permissions")
    )]
    Unlockable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A record does not fit into a Secret.
    #[error(
        "revision record of release {release} is {size} KiB, more than the {limit} KiB that a Secret holds; largest parts: {parts}"
    )]
    #[diagnostic(
        code(todohost::release::too_large),
        help("leave large files out of the chart with .helmignore, or split the chart")
    )]
    TooLarge {
        /// Name of the release.
        release: String,
        /// KiB as stored.
        size: usize,
        /// KiB allowed.
        limit: usize,
        /// The largest parts and their sizes, for people.
        parts: String,
    },
    /// A manifest is no YAML, or no list of objects.
    #[error("manifest {origin} cannot be read: {reason}")]
    #[diagnostic(
        code(todohost::release::manifest),
        help("correct the template; `todohost render` shows what it makes")
    )]
    Manifest {
        /// Template or record.
        origin: String,
        /// Why, with line and column.
        reason: String,
    },
    /// Operations of a wave failed.
    #[error("{object}{} could not be deployed", and_others(others.len()))]
    #[diagnostic(code(todohost::release::apply_failed))]
    Apply {
        /// The first that failed.
        object: Box<ObjectRef>,
        /// Why.
        #[source]
        #[diagnostic_source]
        cause: ClusterError,
        /// Every other one that failed.
        #[related]
        others: Vec<ClusterError>,
    },
    /// What a wave waited for did not become ready.
    #[error("wave {wave} did not become ready: {reason}")]
    #[diagnostic(
        code(todohost::release::wave_not_ready),
        help("look at the named objects with `kubectl describe`")
    )]
    NotReady {
        /// Title of the wave.
        wave: String,
        /// What it waited for.
        reason: String,
    },
    /// The user stopped it.
    #[error("stopped by the user")]
    #[diagnostic(code(todohost::release::cancelled))]
    Cancelled,
    /// Taking it back failed as well.
    #[error("rolling back release {release} failed: {} of the steps did not succeed", failures.len())]
    #[diagnostic(
        code(todohost::release::rollback_failed),
        help("run the deploy again once the cause is gone: it finishes what was left")
    )]
    Rollback {
        /// Name of the release.
        release: String,
        /// Every failure.
        #[related]
        failures: Vec<ClusterError>,
    },
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " and another object".to_owned(),
        more => format!(" and {more} other objects"),
    }
}

impl ReleaseError {
    /// Exit code of a run that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Cluster(error) => error.exit(),
            Self::Secret(error) => error.exit(),
            Self::Apply { cause, .. } => cause.exit(),
            Self::Manifest { .. } => Exit::Render,
            Self::NotReady { .. } => Exit::Verify,
            Self::Cancelled => Exit::Cancelled,
            Self::Unlockable { .. } => Exit::Internal,
            Self::Unreadable { .. }
            | Self::Held { .. }
            | Self::Lost { .. }
            | Self::Taken { .. }
            | Self::TooLarge { .. }
            | Self::Rollback { .. } => Exit::Apply,
        }
    }
}
