//! Releases: their revisions in the cluster, and the transaction that makes a new one.
//!
//! Owns Helm's storage format, the manifest in it, the salt and the lease of a release, hooks, and carrying out
//! and taking back what the apply step planned. It does not judge readiness: that is the verify step's.

mod error;
mod hook;
mod lease;
mod manifest;
mod ownership;
mod record;
mod rollback;
mod store;
mod transaction;

pub use error::ReleaseError;
pub use hook::{HookDeletion, HookEvent};
pub(crate) use hook::{continue_hooks, output_policies};
pub use lease::{Held, Holder, Lease};
pub use manifest::{Document, parse_manifest, print_manifest};
pub use record::{Facts, HookRecord, Info, Record, Status};
pub use rollback::RolledBack;
pub use store::{NewRevision, Newest, RevisionSummary, Store};
pub(crate) use transaction::GONE_WITHIN;
pub use transaction::{Done, Operation, Prospect, ReadyGate, Transaction, Wave};
