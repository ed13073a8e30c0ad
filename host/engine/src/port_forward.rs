//! Forwards a port of this machine to a Service until the user stops it.
//!
//! Each connection selects a pod anew, so the port outlives pods. An open connection ends with its pod. The bytes stay in
//! the host.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::context::lock;
use super::error::RunError;
use super::verify::{open_service, release_objects};
use todohost_cluster::{Backend, Client, ClusterError, Pods, Query};
use todohost_model::event::{Bus, EventKind, Level};
use todohost_model::exit::Exit;
use todohost_model::object::{Object, ObjectRef};

/// A new connection waits this long for a pod that is ready: about as long as a rollout takes.
const POD_WITHIN: Duration = Duration::from_mins(1);

/// How long answers are still passed on after the client closed its side. The port-forward protocol has no half-closed
/// streams, so the pod does not learn of the end.
const LAST_WORD: Duration = Duration::from_secs(30);

/// Why no port is forwarded.
#[derive(Debug, Error, Diagnostic)]
pub enum ForwardError {
    /// The Service does not exist, or the user has to name one.
    #[error("{message}")]
    #[diagnostic(code(todohost::forward::service))]
    Service {
        /// One line.
        message: String,
        /// The command to type.
        #[help]
        help: String,
    },
    /// The local port is not available.
    #[error("cannot listen on port {port} of this machine")]
    #[diagnostic(
        code(todohost::forward::port),
        help("use another port: --port PORT; without --port a free one is used")
    )]
    Port {
        /// The requested port.
        port: u16,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl ForwardError {
    /// Exit code of a run that ends with this error.
    pub const fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// A listening port that forwards to a Service.
#[derive(Serialize)]
pub struct Forward {
    /// The URL at which it answers.
    pub address: String,
    pub service: String,
    pub namespace: String,
    pub target: String,
    #[serde(skip)]
    listener: TcpListener,
    #[serde(skip)]
    state: Arc<ForwardState>,
    #[serde(skip)]
    cancel: CancellationToken,
}

/// Shared by all connections.
struct ForwardState {
    client: Client,
    service: ObjectRef,
    pods: Pods,
    bus: Bus,
    /// The pod of the last connection: later ones stay with it while it is ready.
    last: Mutex<Option<String>>,
}

/// Listens for connections to the named Service, or else to the only one that is open to the outside.
pub(super) async fn listen(
    connected: &Connected,
    named: Option<&str>,
    port: Option<u16>,
) -> Result<Forward, RunError> {
    let cx = &connected.cx;
    let client = connected.client.clone();
    let name = match named {
        Some(name) => name.to_owned(),
        None => only_service(connected).await?,
    };
    let namespace = cx.app().namespace.clone();
    if cx.or_cancelled(client.service(&namespace, &name)).await?.is_none() {
        return Err(no_service(connected, &namespace, &name).await?.into());
    }
    let wanted = port.unwrap_or_default();
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await;
    let bound = listening.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) =
        bound.map_err(|source| ForwardError::Port { port: wanted, source })?;
    let service = todohost_cluster::service_ref(&namespace, &name);
    let pods = client.pods(&namespace);
    let bus = cx.bus.clone();
    Ok(Forward {
        address: url(address),
        service: name,
        namespace,
        target: cx.target_name().to_owned(),
        listener,
        state: Arc::new(ForwardState { client, service, pods, bus, last: Mutex::default() }),
        cancel: cx.cancel.clone(),
    })
}

/// The Service to forward to if the user names none.
async fn only_service(connected: &Connected) -> Result<String, RunError> {
    let objects = release_objects(connected, None).await?;
    let services: Vec<&Object> =
        objects.iter().filter(|object| object["kind"] == "Service").collect();
    let open: Vec<&Object> =
        services.iter().copied().filter(|object| open_service(object).is_some()).collect();
    match (open.as_slice(), services.as_slice()) {
        ([only], _) | ([], [only]) => Ok(name_of(only)),
        (_, several) => {
            let names: Vec<String> = several.iter().map(|service| name_of(service)).collect();
            let message = match names.len() {
                0 => "the release has no Service".to_owned(),
                _ => format!("the release has several Services: {}", names.join(", ")),
            };
            let help = "name one: todohost forward SERVICE; `kubectl get services` lists them";
            Err(ForwardError::Service { message, help: help.to_owned() }.into())
        }
    }
}

async fn no_service(
    connected: &Connected,
    namespace: &str,
    name: &str,
) -> Result<ForwardError, RunError> {
    let wanted = Query {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some(namespace.to_owned()),
        metadata_only: true,
        ..Query::default()
    };
    let found = connected.cx.or_cancelled(connected.client.list(&wanted)).await?;
    let names: Vec<String> = found.iter().map(name_of).collect();
    let help = if names.is_empty() {
        "the namespace has none; deploy the app: todohost deploy".to_owned()
    } else {
        format!("Services there: {}", names.join(", "))
    };
    let message = format!("there is no Service {name} in namespace {namespace}");
    Ok(ForwardError::Service { message, help })
}

impl Forward {
    /// Accepts connections until the user stops it.
    ///
    /// # Errors
    /// If the system refuses further connections.
    pub async fn serve(self) -> Result<(), RunError> {
        let Self { listener, state, cancel, .. } = self;
        // Dropping the set closes the open connections.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let (stream, _) = accepted.map_err(|source| {
                        let port = listener.local_addr().map_or(0, |address| address.port());
                        ForwardError::Port { port, source }
                    })?;
                    connections.spawn(Arc::clone(&state).carry(stream));
                }
            }
        }
    }
}

impl ForwardState {
    async fn carry(self: Arc<Self>, user: TcpStream) {
        match self.open().await {
            Ok(pod) => pass(user, pod).await,
            Err(reason) => self.report(Level::Warn, format!("a connection is closed: {reason}")),
        }
    }

    /// Waits for a ready pod and opens a stream to it. Pods that just ended are passed over.
    async fn open(&self) -> Result<DuplexStream, String> {
        let until = Instant::now() + POD_WITHIN;
        let mut gone = Vec::new();
        let mut last_error = None;
        loop {
            let (service, port) = self.service().await?;
            let left = until.saturating_duration_since(Instant::now());
            let found = self.pods.behind(&service, port, &gone, left).await;
            let Some(backends) = found else {
                let name = &self.service.name;
                return Err(last_error.unwrap_or_else(|| {
                    format!("no pod of Service/{name} is ready within {} s", POD_WITHIN.as_secs())
                }));
            };
            let backend = self.choose(&backends);
            let namespace = self.service.namespace.as_deref().unwrap_or_default();
            match self.client.open_port(namespace, &backend).await {
                Ok(stream) => {
                    self.remember(&backend);
                    return Ok(stream);
                }
                Err(error @ ClusterError::Forbidden { .. }) => return Err(error.to_string()),
                Err(error) => {
                    last_error = Some(error.to_string());
                    gone.push(backend.pod);
                }
            }
        }
    }

    /// The Service as it is now, with its first port: an upgrade may have changed it.
    async fn service(&self) -> Result<(Object, u16), String> {
        let found = self.client.get(&self.service).await.map_err(|error| error.to_string())?;
        let service = found.ok_or_else(|| format!("{} is gone", self.service))?;
        let port = service.pointer("/spec/ports/0/port").and_then(serde_json::Value::as_u64);
        let port = port.and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| format!("{} has no port", self.service))?;
        Ok((service, port))
    }

    fn choose(&self, backends: &[Backend]) -> Backend {
        let last = lock(&self.last);
        let same = backends.iter().find(|backend| Some(&backend.pod) == last.as_ref());
        same.unwrap_or(&backends[0]).clone()
    }

    fn remember(&self, backend: &Backend) {
        let before = lock(&self.last).replace(backend.pod.clone());
        if before.is_some_and(|before| before != backend.pod) {
            self.report(Level::Info, format!("connections go to Pod/{} from now on", backend.pod));
        }
    }

    fn report(&self, level: Level, message: String) {
        self.bus.send(EventKind::Note { level, message });
    }
}

/// Passes bytes both ways until the pod's side ends.
async fn pass(user: TcpStream, pod: impl AsyncRead + AsyncWrite + Unpin) {
    // Pass small writes on at once, if the system can.
    let _ = user.set_nodelay(true);
    let (mut from_user, mut to_user) = user.into_split();
    let (mut from_pod, mut to_pod) = tokio::io::split(pod);
    let mut answers = std::pin::pin!(copy(&mut from_pod, &mut to_user));
    // Either side may go away at any moment: that is how connections end.
    tokio::select! {
        _ = &mut answers => {}
        _ = copy(&mut from_user, &mut to_pod) => {
            let _ = timeout(LAST_WORD, answers).await;
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn name_of(object: &Object) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
