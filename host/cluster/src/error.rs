//! Errors between the host and the API server.

use std::fmt;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use todohost_model::exit::Exit;
use todohost_model::object::ObjectRef;

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// Path as the API server names it, e.g. `.spec.replicas`.
    pub field: String,
    /// The manager that owns it, e.g. `kubectl-edit`.
    pub manager: String,
    /// The subresource that it wrote, e.g. `scale`.
    pub subresource: Option<String>,
    /// When it last wrote, as the API server spells times.
    pub since: Option<String>,
}

impl fmt::Display for FieldConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is managed by {}", self.field, self.manager)?;
        match &self.since {
            Some(since) => write!(formatter, " since {since}"),
            None => Ok(()),
        }
    }
}

/// A call to the cluster failed.
#[derive(Clone, Debug, Error, Diagnostic)]
pub enum ClusterError {
    /// No kubeconfig file exists in any of the places that were looked at.
    #[error("no kubeconfig found: looked at {looked_at}")]
    #[diagnostic(
        code(todohost::cluster::no_kubeconfig),
        help("start a local cluster, or let KUBECONFIG name the file of an existing one")
    )]
    NoKubeconfig {
        /// The places, for people.
        looked_at: String,
    },
    /// A kubeconfig is there but makes no sense.
    #[error("kubeconfig {origin} cannot be used")]
    #[diagnostic(
        code(todohost::cluster::bad_kubeconfig),
        help(
            "`kubectl config view` shows how it is understood; correct the file or set KUBECONFIG"
        )
    )]
    BadKubeconfig {
        /// File, or `the target's kubeconfig`.
        origin: String,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// The named context is in no kubeconfig.
    #[error("context `{context}` is not in the kubeconfig")]
    #[diagnostic(code(todohost::cluster::context_missing))]
    ContextMissing {
        /// The one asked for.
        context: String,
        /// The existing contexts, and the command to type.
        #[help]
        help: String,
    },
    /// Nothing answers, or not in time.
    #[error("cluster of context `{context}` at {server} is not reachable: {reason}")]
    #[diagnostic(
        code(todohost::cluster::unreachable),
        help(
            "start the cluster, or name another context; `kubectl --context {context} version` asks the same server"
        )
    )]
    Unreachable {
        /// Context of the kubeconfig.
        context: String,
        /// Address of the API server.
        server: String,
        /// One of the plain reasons, e.g. `connection refused`.
        reason: Unreachable,
        /// The error of the transport.
        #[source]
        cause: Cause,
    },
    /// The API server rejects the credentials.
    #[error(
        "cluster of context `{context}` at {server} does not accept the credentials of the kubeconfig"
    )]
    #[diagnostic(
        code(todohost::cluster::unauthorised),
        help("log in to the cluster again, or recreate its kubeconfig entry")
    )]
    Unauthorised {
        /// Context of the kubeconfig.
        context: String,
        /// Address of the API server.
        server: String,
        /// The message of the server or the credential plugin.
        #[source]
        cause: Cause,
    },
    /// The user is not allowed to do it.
    #[error("not allowed to {action}")]
    #[diagnostic(
        code(todohost::cluster::forbidden),
        help("ask the cluster's administrator for a role that allows it, or use another context")
    )]
    Forbidden {
        /// E.g. `apply Deployment/api`.
        action: String,
        /// The server's message.
        #[source]
        cause: Cause,
    },
    /// A policy of the cluster denies it, for every user.
    #[error("a policy of the cluster is against it: {action}")]
    #[diagnostic(
        code(todohost::cluster::denied),
        help(
            "change the setting named by the policy in your chart or values, or ask the policy's owner for an exception"
        )
    )]
    Denied {
        /// E.g. `apply Deployment/api`.
        action: String,
        /// The policy's message, with its name.
        #[source]
        cause: Cause,
    },
    /// The API server has to ask a webhook, and got no answer from it.
    #[error("the cluster's webhook {webhook} did not answer: cannot {action}")]
    #[diagnostic(
        code(todohost::cluster::webhook),
        help(
            "check that the webhook's Service is running (`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o yaml` shows which one), then run the command again"
        )
    )]
    Webhook {
        /// E.g. `apply Deployment/api`.
        action: String,
        webhook: String,
        /// The server's message.
        #[source]
        cause: Cause,
    },
    /// The namespace is going away, and takes nothing new.
    #[error("cannot {action}: namespace {namespace} is being deleted")]
    #[diagnostic(
        code(todohost::cluster::terminating),
        help(
            "wait until it is gone: kubectl wait --for=delete namespace/{namespace} --timeout=5m; then run the command again"
        )
    )]
    Terminating {
        /// E.g. `apply Deployment/api`.
        action: String,
        namespace: String,
    },
    /// The cluster has no such kind.
    #[error("the cluster does not know the kind {kind}{}", of_version(api_version))]
    #[diagnostic(
        code(todohost::cluster::unknown_kind),
        help(
            "install the definition of that kind first, or correct apiVersion and kind in the chart"
        )
    )]
    UnknownKind {
        /// E.g. `example.org/v1`; empty if any version would do.
        api_version: String,
        /// E.g. `Widget`.
        kind: String,
    },
    /// Other managers own fields with other values.
    #[error("{object}: {}", conflict_list(conflicts))]
    #[diagnostic(
        code(todohost::cluster::conflict),
        help(
            "remove the field from the chart, have the other manager give it up, or take it: --take FIELD, or --force for all"
        )
    )]
    Conflict {
        /// Which object.
        object: Box<ObjectRef>,
        /// Field by field.
        conflicts: Vec<FieldConflict>,
    },
    /// The object is there already, or not the one that was meant.
    #[error("cannot {action}: {message}")]
    #[diagnostic(
        code(todohost::cluster::precondition),
        help("something else changed the object in the meantime; run the command again")
    )]
    Precondition {
        /// E.g. `delete ConfigMap/settings`.
        action: String,
        /// The server's message.
        message: String,
        /// The object exists already.
        exists: bool,
    },
    /// The API server refuses the object.
    #[error("the cluster refused to {action}: {message}")]
    #[diagnostic(
        code(todohost::cluster::refused),
        help("correct the named field in the chart or its values")
    )]
    Refused {
        /// E.g. `apply Deployment/api`.
        action: String,
        /// The server's message.
        message: String,
        /// HTTP status.
        status: u16,
    },
    /// The API server failed and went on failing.
    #[error("the API server failed to {action}")]
    #[diagnostic(
        code(todohost::cluster::server),
        help("the API server is overloaded or restarting; run the command again")
    )]
    Server {
        /// E.g. `list v1/Pod`.
        action: String,
        /// The last of its answers.
        #[source]
        cause: Cause,
    },
    /// The answer violates the Kubernetes API.
    #[error("the API server's answer to `{action}` cannot be understood")]
    #[diagnostic(
        code(todohost::cluster::answer),
        help("check which server answers at the cluster's address")
    )]
    Answer {
        /// The request.
        action: String,
        /// The broken part of the answer.
        #[source]
        cause: Cause,
    },
    /// A call took too long, retries included.
    #[error("the API server did not {action} within {} s", limit.as_secs())]
    #[diagnostic(
        code(todohost::cluster::timeout),
        help("the cluster is overloaded or its connection is bad; run the command again")
    )]
    Timeout {
        /// The request.
        action: String,
        limit: Duration,
    },
    /// The user stopped before the answer came.
    #[error("stopped before the API server answered to `{action}`")]
    #[diagnostic(code(todohost::cluster::stopped))]
    Stopped {
        /// The request.
        action: String,
    },
    /// A document lacks a field that identifies an object.
    #[error("an object lacks {field}")]
    #[diagnostic(
        code(todohost::cluster::nameless),
        help("every rendered object needs apiVersion, kind and metadata.name")
    )]
    Nameless {
        /// E.g. `metadata.name`.
        field: &'static str,
    },
}

/// Why nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// Nothing listens.
    #[error("connection refused")]
    Refused,
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Name,
    /// The certificate is not trusted, or it does not speak TLS.
    #[error("no trusted TLS connection")]
    Tls,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Anything else.
    #[error("the connection failed")]
    Other,
}

/// A cause as text, since the types below the transport are not stable.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct Cause {
    message: String,
    #[source]
    below: Option<Box<Cause>>,
}

impl Cause {
    /// A cause without one of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), below: None }
    }

    /// The chain of `error`, outermost first, without repetitions.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let message = error.to_string();
        let mut source = error.source();
        // Many libraries print their source in their own message: say each thing once.
        while let Some(inner) = source {
            if !message.contains(&inner.to_string()) {
                return Self { message, below: Some(Box::new(Self::of(inner))) };
            }
            source = inner.source();
        }
        Self { message, below: None }
    }
}

fn of_version(api_version: &str) -> String {
    if api_version.is_empty() { String::new() } else { format!(" of {api_version}") }
}

fn conflict_list(conflicts: &[FieldConflict]) -> String {
    let parts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    parts.join(", ")
}

impl ClusterError {
    /// Exit code of a run that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoKubeconfig { .. }
            | Self::BadKubeconfig { .. }
            | Self::ContextMissing { .. }
            | Self::Unreachable { .. }
            | Self::Unauthorised { .. }
            | Self::Server { .. }
            | Self::Webhook { .. }
            | Self::Timeout { .. }
            | Self::Answer { .. } => Exit::Unreachable,
            Self::Forbidden { .. }
            | Self::Denied { .. }
            | Self::Terminating { .. }
            | Self::UnknownKind { .. }
            | Self::Conflict { .. }
            | Self::Precondition { .. }
            | Self::Refused { .. }
            | Self::Nameless { .. } => Exit::Apply,
            Self::Stopped { .. } => Exit::Cancelled,
        }
    }

    /// A webhook has side effects, so a dry run of the object is not possible.
    pub fn is_no_dry_run(&self) -> bool {
        matches!(self, Self::Refused { status: 400, message, .. } if message.contains("does not support dry run"))
    }

    /// The answer did not arrive, so the server may have carried out the request.
    pub fn leaves_doubt(&self) -> bool {
        matches!(
            self,
            Self::Stopped { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
                | Self::Server { .. }
                | Self::Answer { .. }
        )
    }
}
