//! The host's own cluster client and vault as capabilities use them.

use std::time::Duration;

use async_trait::async_trait;
use miette::Diagnostic;
use serde_json::Value;

use super::{ClusterQuery, ClusterReader, ClusterWriter, LogQuery, SecretBoundary};
use crate::cluster::{ApplyOptions, Client, ClusterError, LogRequest, Query};
use crate::object::{Object, ObjectRef};
use crate::plugin::wit::{Error, ErrorKind};
use crate::secret::{SecretError, Vault};

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let kind = match &error {
            ClusterError::NoKubeconfig { .. } | ClusterError::ContextMissing { .. } => {
                ErrorKind::NotFound
            }
            ClusterError::Forbidden { .. } | ClusterError::Unauthorised { .. } => ErrorKind::Denied,
            ClusterError::Conflict { .. } | ClusterError::Precondition { .. } => {
                ErrorKind::Conflict
            }
            ClusterError::UnknownKind { .. } => ErrorKind::Unsupported,
            ClusterError::Timeout { .. } => ErrorKind::Timeout,
            ClusterError::BadKubeconfig { .. }
            | ClusterError::Refused { .. }
            | ClusterError::Nameless { .. } => ErrorKind::InvalidInput,
            ClusterError::Unreachable { .. }
            | ClusterError::Server { .. }
            | ClusterError::Answer { .. } => ErrorKind::Unavailable,
        };
        foreign(kind, &error)
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        foreign(ErrorKind::Denied, &error)
    }
}

/// A diagnostic of the host in the contract's shape: `todohost::cluster::refused` is `todohost.cluster.refused`.
fn foreign(kind: ErrorKind, error: &dyn Diagnostic) -> Error {
    let code = error.code().map(|code| code.to_string().replace("::", ".")).unwrap_or_default();
    let mut converted = Error::new(kind, code, error.to_string());
    if let Some(source) = error.source() {
        converted = converted.caused_by(source);
    }
    match error.help() {
        Some(help) => converted.with_help(help.to_string()),
        None => converted,
    }
}

#[async_trait]
impl ClusterReader for Client {
    async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, Error> {
        Ok(Self::get(self, object).await?)
    }

    async fn list(&self, query: &ClusterQuery) -> Result<Vec<Object>, Error> {
        if query.continue_token.is_some() {
            let message = "a list is given whole: there is nothing to continue".to_owned();
            return Err(Error::new(ErrorKind::Unsupported, "todohost.cluster.continue", message));
        }
        let query = Query {
            api_version: query.api_version.clone(),
            kind: query.kind.clone(),
            namespace: query.namespace.clone(),
            label_selector: query.label_selector.clone(),
            field_selector: query.field_selector.clone(),
            limit: query.limit,
            metadata_only: false,
        };
        Ok(Self::list(self, &query).await?)
    }

    async fn logs(&self, query: &LogQuery) -> Result<String, Error> {
        let request = LogRequest {
            pod: query.pod.clone(),
            container: query.container.clone(),
            previous: query.previous,
            tail_lines: query.tail_lines,
        };
        Ok(Self::logs(self, &request).await?)
    }

    async fn http_get(
        &self,
        object: &ObjectRef,
        port: u16,
        path: &str,
        timeout: Duration,
    ) -> Result<(u16, Vec<u8>), Error> {
        let answer = Self::http_get(self, object, port, path, timeout).await?;
        Ok((answer.status, answer.body))
    }

    async fn node_summary(&self, node: &str) -> Result<Value, Error> {
        Ok(Self::node_summary(self, node).await?)
    }

    async fn can_i(
        &self,
        verb: &str,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<bool, Error> {
        Ok(Self::can_i(self, verb, api_version, kind, namespace).await?)
    }
}

#[async_trait]
impl ClusterWriter for Client {
    async fn apply(&self, object: &Object, force: bool, dry_run: bool) -> Result<Object, Error> {
        Ok(Self::apply(self, object, ApplyOptions { dry_run, force }).await?.object)
    }

    async fn delete(
        &self,
        object: &ObjectRef,
        propagation: Option<&str>,
        uid: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(propagation) =
            propagation.filter(|name| !name.eq_ignore_ascii_case("background"))
        {
            let message =
                format!("deleting {object} with propagation {propagation} is not offered");
            return Err(Error::new(
                ErrorKind::Unsupported,
                "todohost.cluster.propagation",
                message,
            ));
        }
        Self::delete(self, object, uid).await?;
        Ok(())
    }
}

impl SecretBoundary for Vault {
    fn tokenise(&self, object: Object) -> Object {
        Self::tokenise(self, object)
    }

    fn substitute(&self, object: Object) -> Result<Object, Error> {
        Ok(Self::substitute(self, object)?)
    }

    fn redact(&self, text: &str) -> String {
        Self::redact(self, text)
    }

    fn connect_host(&self, secret: &str) -> Option<(String, u16)> {
        Self::connect_host(self, secret)
    }
}
