//! Conversions: the vault as a `SecretBoundary`, and the host's errors as errors of the contract.

use miette::Diagnostic;

use super::SecretBoundary;
use crate::plugin::wit::{Error, ErrorKind};
use todohost_cluster::ClusterError;
use todohost_model::object::Object;
use todohost_secrets::{SecretError, Vault};

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let kind = match &error {
            ClusterError::NoKubeconfig { .. } | ClusterError::ContextMissing { .. } => {
                ErrorKind::NotFound
            }
            ClusterError::Forbidden { .. }
            | ClusterError::Denied { .. }
            | ClusterError::Unauthorised { .. } => ErrorKind::Denied,
            ClusterError::Conflict { .. }
            | ClusterError::Terminating { .. }
            | ClusterError::Precondition { .. } => ErrorKind::Conflict,
            ClusterError::UnknownKind { .. } => ErrorKind::Unsupported,
            ClusterError::Timeout { .. } => ErrorKind::Timeout,
            ClusterError::Stopped { .. } => ErrorKind::Cancelled,
            ClusterError::BadKubeconfig { .. }
            | ClusterError::Refused { .. }
            | ClusterError::Nameless { .. } => ErrorKind::InvalidInput,
            ClusterError::Unreachable { .. }
            | ClusterError::Server { .. }
            | ClusterError::Webhook { .. }
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

/// Converts a diagnostic of the host: the code `todohost::cluster::refused` becomes `todohost.cluster.refused`.
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

    fn redact_output(&self, text: &str) -> String {
        Self::redact_output(self, text)
    }

    fn connect_host(&self, secret: &str) -> Option<(String, u16)> {
        Self::connect_host(self, secret)
    }
}
