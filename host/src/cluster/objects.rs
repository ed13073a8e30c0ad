//! Reading, applying and deleting objects.

use super::{Client, ClusterError};
use crate::event::ObjectChange;
use crate::object::{Object, ObjectRef};

/// Which objects to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// E.g. `v1`.
    pub api_version: String,
    /// E.g. `Pod`.
    pub kind: String,
    /// Absent: all namespaces.
    pub namespace: Option<String>,
    /// E.g. `app=todo`.
    pub label_selector: Option<String>,
    /// E.g. `status.phase=Running`.
    pub field_selector: Option<String>,
    /// At most so many; absent: all, page by page.
    pub limit: Option<u32>,
}

/// How to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Only ask what would become of it.
    pub dry_run: bool,
    /// Take fields from other managers.
    pub force: bool,
}

/// What the server made of an applied object.
#[derive(Clone, Debug)]
pub struct Applied {
    /// As it is now, or would be.
    pub object: Object,
    /// Created, configured or unchanged.
    pub change: ObjectChange,
}

impl Client {
    /// One object, or `None`.
    ///
    /// # Errors
    /// Where the cluster cannot be asked or does not know the kind.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, ClusterError> {
        let _ = object;
        todo!()
    }

    /// Many objects at the same time, in the order asked for; kinds that are not served have no objects.
    ///
    /// # Errors
    /// The first failure.
    pub async fn get_many(
        &self,
        objects: &[ObjectRef],
    ) -> Result<Vec<Option<Object>>, ClusterError> {
        let _ = objects;
        todo!()
    }

    /// Objects of one kind.
    ///
    /// # Errors
    /// Where the cluster cannot be asked or does not know the kind.
    pub async fn list(&self, query: &Query) -> Result<Vec<Object>, ClusterError> {
        let _ = query;
        todo!()
    }

    /// Server-side apply as manager `helm`.
    ///
    /// # Errors
    /// `Conflict` with every field and its other manager; what the server refuses.
    pub async fn apply(
        &self,
        object: &Object,
        options: ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let _ = (object, options);
        todo!()
    }

    /// Creates an object that must not exist yet.
    ///
    /// # Errors
    /// `Precondition` with `exists` where it does.
    pub async fn create(&self, object: &Object) -> Result<Object, ClusterError> {
        let _ = object;
        todo!()
    }

    /// Replaces an object; a `metadata.resourceVersion` in it must still be the current one.
    ///
    /// # Errors
    /// `Precondition` where it changed in the meantime.
    pub async fn replace(&self, object: &Object) -> Result<Object, ClusterError> {
        let _ = object;
        todo!()
    }

    /// Deletes in the foreground of nothing: dependents follow in the background. `false` where it was gone already.
    ///
    /// # Errors
    /// `Precondition` where the object is another one than `uid` says.
    pub async fn delete(
        &self,
        object: &ObjectRef,
        uid: Option<&str>,
    ) -> Result<bool, ClusterError> {
        let _ = (object, uid);
        todo!()
    }

    /// Creates the namespace where it is missing; `true` where it did.
    ///
    /// # Errors
    /// Where it may not.
    pub async fn ensure_namespace(&self, namespace: &str) -> Result<bool, ClusterError> {
        let _ = namespace;
        todo!()
    }
}
