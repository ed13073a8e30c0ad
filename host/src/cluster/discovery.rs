//! Which kinds the cluster has, asked for as they are needed and remembered.

use super::{Client, ClusterError};
use crate::object::Object;

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// E.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
    /// E.g. `deployments`.
    pub plural: String,
    /// Its objects live in namespaces.
    pub namespaced: bool,
}

pub(super) struct Discovery {}

impl Client {
    /// Everything served, as charts ask for it: `apps/v1` and `apps/v1/Deployment`, sorted.
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn api_versions(&self) -> Result<Vec<String>, ClusterError> {
        todo!()
    }

    /// One kind.
    ///
    /// # Errors
    /// `UnknownKind` where it is not served.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, ClusterError> {
        let _ = (api_version, kind);
        todo!()
    }

    /// Gives each object of a namespaced kind that names no namespace `namespace`, and takes it from the others.
    /// Kinds that a definition among the objects brings are known, too.
    ///
    /// # Errors
    /// `UnknownKind`, `Nameless`.
    pub async fn place(
        &self,
        objects: Vec<Object>,
        namespace: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let _ = (objects, namespace);
        todo!()
    }
}
