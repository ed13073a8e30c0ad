//! Objects with what belongs to them, as they change.

use tokio_util::sync::CancellationToken;

use super::{Client, ClusterError};
use crate::object::{Object, ObjectRef};

/// An object with what it owns and their events, at one moment. The data of Secrets is left out.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which object.
    pub object_ref: ObjectRef,
    /// `None` while it does not exist.
    pub object: Option<Object>,
    /// Replica sets, jobs, pods, endpoint slices that it owns, directly or not.
    pub related: Vec<Object>,
    /// Events about any of them, oldest first.
    pub events: Vec<Object>,
}

/// Snapshots of a set of objects.
pub struct Watch {}

impl Client {
    /// Watches objects. The first call of [`Watch::next`] gives one snapshot of each, from one list per kind;
    /// a watch that ends there has opened none.
    ///
    /// # Errors
    /// Where a kind is not served.
    pub async fn watch(
        &self,
        objects: &[ObjectRef],
        cancel: CancellationToken,
    ) -> Result<Watch, ClusterError> {
        let _ = (objects, cancel);
        todo!()
    }
}

impl Watch {
    /// Waits for the next change and gives a snapshot of every object that it touched: all of them at first.
    /// `None` once cancelled.
    ///
    /// # Errors
    /// Where the cluster went away for longer than the client's deadline.
    pub async fn next(&mut self) -> Result<Option<Vec<Snapshot>>, ClusterError> {
        todo!()
    }
}
