//! Errors of releases.

use miette::Diagnostic;
use thiserror::Error;

use todohost_cluster::{ClusterError, FieldConflict};
use todohost_model::exit::Exit;
use todohost_model::field::FieldPattern;
use todohost_model::object::ObjectRef;
use todohost_secrets::SecretError;

/// A release could not be read, written, applied or rolled back.
#[derive(Debug, Error, Diagnostic)]
pub enum ReleaseError {
    /// The cluster did not do it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cluster(#[from] ClusterError),
    /// A secret is in a forbidden place.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secret(#[from] SecretError),
    /// A stored revision is not in Helm's format.
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
        revision: u32,
    },
    /// Another run is deploying.
    #[error("release {release} is being deployed by {person} since {since}")]
    #[diagnostic(
        code(todohost::release::held),
        help(
            "wait for it to finish, or wait longer with --lock-timeout 30m; a killed deploy is taken over automatically"
        )
    )]
    Held {
        /// Name of the release.
        release: String,
        /// The person, e.g. `ada@laptop`.
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
        help("nothing more was written; `todohost status` shows the result")
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
    /// A manifest is not YAML, or not a list of objects.
    #[error("manifest {origin} cannot be read: {reason}")]
    #[diagnostic(
        code(todohost::release::manifest),
        help("correct the template; `todohost render` shows its output")
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
    /// Others manage fields that the release would set.
    #[error("nothing was applied: {}", conflict_count(conflicts.len()))]
    #[diagnostic(
        code(todohost::release::conflicts),
        help(
            "take a field with --take {} (repeatable; .spec.replicas alone names it in every object), or all with --force; or leave it to the other: take it out of the chart, or put it into [apply] ignore of todohost.toml",
            first(conflicts)
        )
    )]
    Conflicts {
        /// The objects.
        #[related]
        conflicts: Vec<Conflicted>,
    },
    /// The release would take over objects of another owner.
    #[error("nothing was applied: {} not part of release {release}", describe_foreign(foreign))]
    #[diagnostic(
        code(todohost::release::not_ours),
        help(
            "take it over with --adopt {} (repeatable), or everything with --adopt all; or give the object another name in the chart", foreign.first().map(|one| one.object.to_string()).unwrap_or_default()
        )
    )]
    NotOwned {
        release: String,
        /// The objects.
        #[related]
        foreign: Vec<ForeignObject>,
    },
    /// Objects that are there would be lost by a new definition of their kind.
    #[error("nothing was applied: {object} would break objects of its kind that are there")]
    #[diagnostic(
        code(todohost::release::definition),
        help(
            "keep the named parts in the chart's definition; or check that no object needs them, and apply the definition before the deploy: kubectl apply --server-side -f FILE"
        )
    )]
    Definition {
        /// The definition.
        object: Box<ObjectRef>,
        /// The obstacles.
        #[related]
        problems: Vec<Problem>,
    },
    /// An object of a wave did not become ready.
    #[error("wave {wave} did not become ready: {reason}")]
    #[diagnostic(
        code(todohost::release::wave_not_ready),
        help("look at the named objects with `kubectl describe`")
    )]
    NotReady {
        /// Title of the wave.
        wave: String,
        reason: String,
    },
    /// The user stopped the run.
    #[error("stopped by the user")]
    #[diagnostic(code(todohost::release::cancelled))]
    Cancelled,
    /// Taking it back failed as well.
    #[error("rolling back release {release} failed: {} of the steps did not succeed", failures.len())]
    #[diagnostic(
        code(todohost::release::rollback_failed),
        help("fix the cause, then deploy again: the next run finishes the rest")
    )]
    Rollback {
        /// Name of the release.
        release: String,
        /// Every failure.
        #[related]
        failures: Vec<ClusterError>,
    },
}

/// A field of an object that another manager owns with another value.
#[derive(Clone, Debug, Error, Diagnostic)]
#[error("{} {object} {conflict}", object.api_version)]
pub struct Conflicted {
    /// Which object.
    pub object: ObjectRef,
    /// Field and manager.
    pub conflict: FieldConflict,
}

/// An object that the release names and did not make.
#[derive(Clone, Debug, Error, Diagnostic)]
#[error("{} {object} {owner}", object.api_version)]
pub struct ForeignObject {
    /// Which object.
    pub object: ObjectRef,
    /// Whose it is.
    pub owner: String,
}

/// An obstacle, in one line.
#[derive(Clone, Debug, Error, Diagnostic)]
#[error("{0}")]
pub struct Problem(pub String);

fn describe_foreign(foreign: &[ForeignObject]) -> String {
    match foreign {
        [one] => format!("{} is there already and", one.object),
        more => format!("{} objects are there already and", more.len()),
    }
}

fn conflict_count(count: usize) -> String {
    match count {
        1 => "another manager owns a field".to_owned(),
        count => format!("other managers own {count} fields"),
    }
}

fn first(conflicts: &[Conflicted]) -> String {
    let pattern = |one: &Conflicted| FieldPattern::of(&one.object, &one.conflict.field).to_string();
    let text = conflicts.first().map(pattern).unwrap_or_default();
    // Lists are named by keys in brackets and quotes, which shells read as their own.
    if text.contains(['[', '"', '*']) { format!("'{text}'") } else { text }
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " and another object".to_owned(),
        more => format!(" and {more} other objects"),
    }
}

impl ReleaseError {
    /// The error for objects that the API server would refuse: the first one, and the others.
    pub(super) fn refused(
        first: (ObjectRef, ClusterError),
        others: Vec<(ObjectRef, ClusterError)>,
    ) -> Self {
        let is_conflict = |error: &ClusterError| matches!(error, ClusterError::Conflict { .. });
        if !is_conflict(&first.1) || !others.iter().all(|(_, error)| is_conflict(error)) {
            let others = others.into_iter().map(|(_, error)| error).collect();
            return Self::Apply { object: Box::new(first.0), cause: first.1, others };
        }
        let mut conflicted = Vec::new();
        for (object, error) in std::iter::once(first).chain(others) {
            let ClusterError::Conflict { conflicts, .. } = error else { continue };
            let of_object = |conflict| Conflicted { object: object.clone(), conflict };
            conflicted.extend(conflicts.into_iter().map(of_object));
        }
        Self::Conflicts { conflicts: conflicted }
    }

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
            Self::Conflicts { .. }
            | Self::Definition { .. }
            | Self::NotOwned { .. }
            | Self::Unreadable { .. }
            | Self::Held { .. }
            | Self::Lost { .. }
            | Self::Taken { .. }
            | Self::TooLarge { .. }
            | Self::Rollback { .. } => Exit::Apply,
        }
    }
}
