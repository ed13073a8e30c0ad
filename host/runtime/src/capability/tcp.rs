//! TCP connections to granted addresses, plain or with TLS, from this machine or from inside the cluster.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime::Result as EngineResult;
use wasmtime::component::Resource;

use super::Capability;
use super::host_call::HostCall;
use super::trust;
use crate::grant::pattern::address_is_expected;
use crate::plugin::State;
use crate::plugin::wit::imports::tcp::{self, Trust};
use crate::plugin::wit::{Error, ErrorKind};
use todohost_cluster::{PodStream, Relay, RelayError};

const MAX_WAIT: Duration = Duration::from_mins(1);
const MAX_READ: u32 = 1024 * 1024;

/// An open connection.
pub struct TcpConnection {
    stream: Stream,
    place: String,
}

/// A byte stream that begins on this machine or in the cluster.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

enum Stream {
    Plain(Box<dyn Carrier>),
    Encrypted(Box<TlsStream<Box<dyn Carrier>>>),
    /// During the TLS handshake, and after a failed one.
    Closed,
}

fn host_call(function: &'static str, detail: String, deadline: Duration) -> HostCall {
    HostCall { capability: Capability::Tcp, function, detail, deadline }
}

fn wait(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into()).min(MAX_WAIT)
}

/// Converts an error of the operating system.
pub(super) fn failed(what: String, error: &io::Error) -> Error {
    let (kind, code) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (ErrorKind::Unavailable, "todohost.connect.refused"),
        io::ErrorKind::TimedOut => (ErrorKind::Timeout, "todohost.connect.timeout"),
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "todohost.connect.unknown-host"),
        _ => (ErrorKind::Unavailable, "todohost.connect.failed"),
    };
    Error::new(kind, code, what).caused_by(error)
}

/// Connects to a granted address. Refuses a name that resolves to this machine, except `localhost` and names that the
/// user gave in a secret.
pub(super) async fn connect(
    host: &str,
    port: u16,
    named: bool,
    limit: Duration,
) -> Result<TcpStream, Error> {
    let place = format!("{host}:{port}");
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let opening = async {
        let addresses: Vec<_> = tokio::net::lookup_host((bare, port))
            .await
            .map_err(|error| {
                Error::new(
                    ErrorKind::NotFound,
                    "todohost.connect.unknown-host",
                    format!("cannot resolve the host of {place}"),
                )
                .caused_by(&error)
            })?
            .collect();
        let mut last = None;
        for address in addresses {
            if !named && !address_is_expected(host, address.ip()) {
                let message = format!("{place} resolves to the local address {}", address.ip());
                return Err(Error::new(ErrorKind::Denied, "todohost.connect.rebound", message)
                    .with_help("to allow this, grant the address itself"));
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let error = last.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        Err(failed(format!("cannot reach {place}"), &error))
    };
    timeout(limit, opening).await.unwrap_or_else(|_| {
        let message = format!("{place} did not answer within {limit:?}");
        Err(Error::new(ErrorKind::Timeout, "todohost.connect.timeout", message))
    })
}

/// Connects from a pod to a granted address.
async fn connect_from_cluster(
    relay: Option<&Relay>,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<PodStream, Error> {
    let Some(relay) = relay else {
        let message = "no relay pod: only `todohost doctor` on a reachable cluster creates one";
        return Err(Error::new(ErrorKind::Unavailable, "todohost.relay.none", message)
            .with_help("type: todohost doctor"));
    };
    let error = match relay.open(host, port, limit).await {
        Ok(line) => return Ok(line),
        Err(error) => error,
    };
    let place = format!("{host}:{port}");
    let kind = match &error {
        RelayError::UnknownHost => ErrorKind::NotFound,
        RelayError::Timeout => ErrorKind::Timeout,
        RelayError::BadHost(_) => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    let code = match error {
        RelayError::UnknownHost => "todohost.connect.unknown-host",
        RelayError::Refused => "todohost.connect.refused",
        RelayError::Timeout => "todohost.connect.timeout",
        RelayError::Failed(_) => "todohost.connect.failed",
        RelayError::Cluster(error) => return Err(error.into()),
        error @ RelayError::NoImage { .. } => {
            return Err(Error::new(kind, "todohost.relay.no-image", error.to_string())
                .with_help("deploy the app once, or build its images: todohost build"));
        }
        error => return Err(Error::new(kind, "todohost.relay.no-pod", error.to_string())),
    };
    let seen = relay.place().await.unwrap_or_default();
    Err(Error::new(kind, code, format!("cannot reach {place} from {seen}"))
        .caused_by(&io::Error::other(format!("{error}, as {seen} sees it"))))
}

impl tcp::Host for State {}

impl State {
    fn opened(
        &mut self,
        opened: Result<impl Carrier + 'static, Error>,
        place: String,
    ) -> EngineResult<Result<Resource<TcpConnection>, Error>> {
        Ok(match opened {
            Ok(stream) => {
                let stream = Stream::Plain(Box::new(stream));
                Ok(self.table.push(TcpConnection { stream, place })?)
            }
            Err(error) => Err(error),
        })
    }
}

impl tcp::HostConnection for State {
    async fn open(
        &mut self,
        host: String,
        port: u16,
        timeout_ms: u32,
    ) -> EngineResult<Result<Resource<TcpConnection>, Error>> {
        let place = format!("{host}:{port}");
        let vault = Arc::clone(&self.context.environment.vault);
        let granted = self.scope.tcp(&host, port, |path| vault.connect_host(path));
        let named = matches!(granted, Ok(true));
        let limit = wait(timeout_ms);
        let opened = self
            .call(
                host_call("open", place.clone(), MAX_WAIT),
                granted.map(drop),
                connect(&host, port, named, limit),
            )
            .await;
        self.opened(opened, place)
    }

    async fn open_from_cluster(
        &mut self,
        host: String,
        port: u16,
        timeout_ms: u32,
    ) -> EngineResult<Result<Resource<TcpConnection>, Error>> {
        let place = format!("{host}:{port}");
        let vault = Arc::clone(&self.context.environment.vault);
        let granted = self.scope.tcp_from_cluster(&host, port, |path| vault.connect_host(path));
        // A pod is an object of the cluster.
        self.facts.wrote_cluster |= granted.is_ok();
        let relay = self.context.environment.relay.clone();
        let limit = wait(timeout_ms);
        let opened = self
            .call(
                host_call("open-from-cluster", place.clone(), MAX_WAIT),
                granted,
                connect_from_cluster(relay.as_deref(), &host, port, limit),
            )
            .await;
        self.opened(opened, place)
    }

    async fn start_tls(
        &mut self,
        connection: Resource<TcpConnection>,
        server_name: String,
        trust: Trust,
        ca: Option<Vec<u8>>,
    ) -> EngineResult<Result<(), Error>> {
        let open = self.table.get_mut(&connection)?;
        let place = open.place.clone();
        let stream = std::mem::replace(&mut open.stream, Stream::Closed);
        let agreed = self
            .call(host_call("start-tls", place.clone(), MAX_WAIT), Ok(()), async {
                let Stream::Plain(stream) = stream else {
                    let message =
                        format!("the connection to {place} is already closed or encrypted");
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        "todohost.connect.tls-twice",
                        message,
                    ));
                };
                agree(stream, &place, server_name, trust, ca.as_deref()).await
            })
            .await;
        Ok(match agreed {
            Ok(stream) => {
                self.table.get_mut(&connection)?.stream = Stream::Encrypted(Box::new(stream));
                Ok(())
            }
            Err(error) => Err(error),
        })
    }

    async fn read(
        &mut self,
        connection: Resource<TcpConnection>,
        max: u32,
        timeout_ms: u32,
    ) -> EngineResult<Result<Vec<u8>, Error>> {
        let open = self.table.get_mut(&connection)?;
        let mut buffer = vec![0; max.min(MAX_READ) as usize];
        let limit = wait(timeout_ms);
        let read = timeout(limit, async {
            match &mut open.stream {
                Stream::Plain(stream) => stream.read(&mut buffer).await,
                Stream::Encrypted(stream) => stream.read(&mut buffer).await,
                Stream::Closed => Err(io::Error::from(io::ErrorKind::NotConnected)),
            }
        })
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        Ok(match read {
            Ok(length) => {
                buffer.truncate(length);
                Ok(buffer)
            }
            Err(error) => Err(failed(format!("{} sends nothing", open.place), &error)),
        })
    }

    async fn write(
        &mut self,
        connection: Resource<TcpConnection>,
        data: Vec<u8>,
    ) -> EngineResult<Result<(), Error>> {
        let open = self.table.get_mut(&connection)?;
        let written = timeout(MAX_WAIT, async {
            match &mut open.stream {
                Stream::Plain(stream) => stream.write_all(&data).await,
                Stream::Encrypted(stream) => {
                    stream.write_all(&data).await?;
                    stream.flush().await
                }
                Stream::Closed => Err(io::Error::from(io::ErrorKind::NotConnected)),
            }
        })
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        Ok(written.map_err(|error| failed(format!("{} takes nothing", open.place), &error)))
    }

    async fn drop(&mut self, connection: Resource<TcpConnection>) -> EngineResult<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

/// Agrees on TLS over an open connection.
pub(super) async fn agree<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    place: &str,
    server_name: String,
    trust: Trust,
    authority: Option<&[u8]>,
) -> Result<TlsStream<S>, Error> {
    let invalid =
        |message: String| Error::new(ErrorKind::InvalidInput, "todohost.connect.tls", message);
    let name = ServerName::try_from(server_name)
        .map_err(|error| invalid(format!("the server name for {place} is malformed: {error}")))?;
    let config = trust::client(trust, authority).map_err(|error| {
        invalid(format!("the certificate authority for {place} is not usable: {error}"))
    })?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, "todohost.connect.tls", format!("no TLS with {place}"))
            .caused_by(&error)
    })
}
