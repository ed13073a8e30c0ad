//! Taking back what a failed transaction did.

use super::{Document, Done, ReleaseError, Transaction};
use crate::object::ObjectRef;

/// What a rollback did.
#[derive(Clone, Debug, Default)]
pub struct RolledBack {
    /// Objects that the failed deploy had created: gone.
    pub removed: Vec<ObjectRef>,
    /// Objects that are as the previous revision had them: to be verified.
    pub restored: Vec<ObjectRef>,
    /// The namespace was ours and empty: gone.
    pub removed_namespace: bool,
}

impl Transaction {
    /// Removes what the failed deploy created and applies the previous revision's documents again (none: a first
    /// install). It has its own deadline and goes on where the run was cancelled.
    ///
    /// # Errors
    /// `Rollback` with every failure, after everything was tried.
    pub async fn roll_back(
        &self,
        done: &Done,
        previous: &[Document],
    ) -> Result<RolledBack, ReleaseError> {
        let _ = (done, previous);
        todo!()
    }
}
