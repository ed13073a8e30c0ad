//! Releases: their revisions in the cluster, and the transaction that makes a new one.
//!
//! Owns Helm's storage format, the manifest in it, the salt and the lease of a release, hooks, and the
//! transaction that carries out and rolls back the apply step's plan. The verify step judges readiness.

mod definition;
mod dry_run;
mod error;
mod hook;
mod lease;
mod manifest;
mod ownership;
mod ownership_policy;
mod record;
mod rollback;
mod store;
mod transaction;

pub use dry_run::{DryRun, PlannedChange};
pub use error::ReleaseError;
pub use hook::{HookDeletion, HookEvent};
pub use hook::{continue_hooks, output_policies};
pub use lease::{Held, Holder, Lease};
pub use manifest::{Document, parse_manifest, print_manifest};
pub use ownership::Adoption;
pub use ownership_policy::{LeftField, OwnershipPolicy};
pub use record::{Facts, HookRecord, Info, Record, Status};
pub use rollback::RolledBack;
pub use store::{NewRevision, Newest, RevisionSummary, Store};
pub use transaction::GONE_WITHIN;
pub use transaction::{AppliedChanges, Operation, ReadyGate, Transaction, Wave};
