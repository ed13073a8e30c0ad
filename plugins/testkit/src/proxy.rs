//! A proxy between host and API server that injects faults.
//!
//! It lets each request fail once, or stops and starts again. It uses plain HTTP on both sides, like a scripted
//! cluster, or `kubectl proxy` in front of a real one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::cluster;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;

/// Fault of a request, the first time that it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// 409 for a write.
    Conflict,
    /// 429, with a `Retry-After` of one second.
    TooManyRequests,
    /// 500; the request was not executed.
    ServerError,
    /// 500; the request was executed.
    ServerErrorAfter,
    /// 503.
    Unavailable,
    /// The connection breaks before the request arrives.
    Lost,
    /// The request is executed, and the connection breaks before the response.
    AnswerLost,
    /// The request is executed, and the connection breaks in the middle of the response.
    HalfAnswer,
    /// A watch opens and never sends an event.
    StalledWatch,
    /// A watch fails because its resource version is too old.
    ExpiredWatch,
}

impl Strike {
    /// All faults.
    pub const ALL: [Self; 10] = [
        Self::Conflict,
        Self::TooManyRequests,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Unavailable,
        Self::Lost,
        Self::AnswerLost,
        Self::HalfAnswer,
        Self::StalledWatch,
        Self::ExpiredWatch,
    ];

    fn concerns(self, method: &str, is_watch: bool) -> bool {
        match self {
            Self::Conflict => method != "GET",
            Self::StalledWatch | Self::ExpiredWatch => is_watch,
            _ => true,
        }
    }
}

/// A listening proxy. Dropping it stops its runtime.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    upstream: SocketAddr,
    strike: Option<Strike>,
    struck: Arc<Mutex<BTreeSet<String>>>,
    runtime: Option<Runtime>,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` that injects a fault.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn start(upstream: SocketAddr, strike: Strike) -> Self {
        Self::listening(upstream, Some(strike))
    }

    /// Starts a proxy in front of `upstream` without faults.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn before(upstream: SocketAddr) -> Self {
        Self::listening(upstream, None)
    }

    fn listening(upstream: SocketAddr, strike: Option<Strike>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self { address, upstream, strike, struck: Arc::default(), runtime: None };
        proxy.come_back();
        proxy
    }

    /// Stops listening and closes all connections, like an API server that restarts.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Listens again at the same address.
    ///
    /// # Panics
    /// Panics if another program took the port.
    pub fn come_back(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let listener =
            runtime.block_on(TcpListener::bind(self.address)).expect("loopback has a free port");
        self.address = listener.local_addr().expect("a listener has an address");
        let (upstream, strike, struck) = (self.upstream, self.strike, Arc::clone(&self.struck));
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let struck = Arc::clone(&struck);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        handle(upstream, strike, Arc::clone(&struck), request)
                    });
                    // Some faults break the connection on purpose.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        self.runtime = Some(runtime);
    }

    /// A kubeconfig with the current context `context` for this proxy.
    pub fn kubeconfig(&self, context: &str) -> String {
        cluster::kubeconfig(context, &format!("http://{}", self.address))
    }

    /// The failed requests so far, e.g. `PATCH /api/v1/...`.
    pub fn struck(&self) -> Vec<String> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn handle(
    upstream: SocketAddr,
    strike: Option<Strike>,
    struck: Arc<Mutex<BTreeSet<String>>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let is_watch = query.contains("watch=true");
    let kind = match (is_watch, query.contains("dryRun=All")) {
        (true, _) => " (watch)",
        (_, true) => " (dry run)",
        _ => "",
    };
    let method = request.method().to_string();
    let name = format!("{method} {}{kind}", request.uri().path());
    let strike = strike.filter(|strike| {
        strike.concerns(&method, is_watch)
            && struck.lock().unwrap_or_else(PoisonError::into_inner).insert(name)
    });
    let Some(strike) = strike else { return forward(upstream, request).await };
    match strike {
        Strike::Conflict => Ok(status(409, "Conflict", "the object has been modified")),
        Strike::TooManyRequests => {
            let mut answer = status(429, "TooManyRequests", "the server is busy");
            answer
                .headers_mut()
                .insert("retry-after", hyper::header::HeaderValue::from_static("1"));
            Ok(answer)
        }
        Strike::ServerError => Ok(status(500, "InternalError", "etcd has no leader")),
        Strike::ServerErrorAfter => {
            forward(upstream, request).await?;
            Ok(status(500, "InternalError", "etcd lost its leader"))
        }
        Strike::Unavailable => Ok(status(503, "ServiceUnavailable", "the server is starting")),
        Strike::Lost => Err("lost".into()),
        Strike::AnswerLost => {
            forward(upstream, request).await?;
            Err("lost".into())
        }
        Strike::HalfAnswer if is_watch => Err("lost".into()),
        Strike::HalfAnswer => {
            let (parts, body) = forward(upstream, request).await?.into_parts();
            let mut whole = body.collect().await?.to_bytes();
            let length = whole.len();
            let half = whole.split_to(length / 2);
            let mut answer = Response::from_parts(parts, half_of(half));
            let headers = answer.headers_mut();
            headers.remove("transfer-encoding");
            headers.insert("content-length", length.into());
            Ok(answer)
        }
        Strike::StalledWatch => Ok(watch(stream::pending().boxed())),
        Strike::ExpiredWatch => {
            let expired = json!({ "type": "ERROR", "object": {
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                "reason": "Expired", "message": "too old resource version",
            } });
            let line = Frame::data(Bytes::from(format!("{expired}\n")));
            Ok(watch(stream::iter([Ok(line)]).boxed()))
        }
    }
}

/// Forwards a request. The response is streamed, because a watch does not end.
async fn forward(
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let connection = TcpStream::connect(upstream).await?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    tokio::spawn(driver);
    let (parts, body) = request.into_parts();
    let body = Full::new(body.collect().await?.to_bytes());
    let answer = sender.send_request(Request::from_parts(parts, body)).await?;
    Ok(answer.map(|body| body.map_err(Failure::from).boxed_unsync()))
}

fn half_of(half: Bytes) -> Body {
    let frames: [Result<Frame<Bytes>, Failure>; 2] = [Ok(Frame::data(half)), Err("lost".into())];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn watch(events: stream::BoxStream<'static, Result<Frame<Bytes>, Failure>>) -> Response<Body> {
    let mut answer = Response::new(StreamBody::new(events).boxed_unsync());
    let json = hyper::header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}

fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    let document = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let body = Full::new(Bytes::from(document.to_string()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}
