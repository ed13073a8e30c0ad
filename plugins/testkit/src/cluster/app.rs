//! Responses of scripted apps, through port forwards and at node ports on this machine.
//!
//! The script sets the responses, here and for the API server's proxy. `{pod}` in a body becomes the name of the
//! responding pod. Each connection carries one request and one response.

use futures::{SinkExt as _, StreamExt as _};
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::store::{Failure, Key};
use super::{State, exec};

/// WebSocket subprotocol: each message begins with the number of its channel.
const PROTOCOL: &str = "v4.channel.k8s.io";

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn selects(service: &Value, pod: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    selector.is_some_and(|selector| {
        let labels = &pod["metadata"]["labels"];
        !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value)
    })
}

/// Names of the ready pods behind a Service.
pub(super) fn ready_pods(state: &State, namespace: &str, service: &str) -> Vec<String> {
    let store = state.store();
    let key =
        Key { resource: "services".into(), namespace: namespace.into(), name: service.into() };
    let Some(service) = store.get(&key) else { return Vec::new() };
    let pods = store.list("pods", namespace).filter(|pod| is_ready(pod) && selects(service, pod));
    pods.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

/// Response of a pod to a complete request.
fn answer(state: &State, namespace: &str, pod: &str, request: &[u8]) -> Vec<u8> {
    let request = String::from_utf8_lossy(request);
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let key = Key { resource: "pods".into(), namespace: namespace.into(), name: pod.into() };
    let services: Vec<String> = {
        let store = state.store();
        let Some(pod) = store.get(&key) else { return Vec::new() };
        let behind = store.list("services", namespace).filter(|service| selects(service, pod));
        behind.filter_map(|it| it["metadata"]["name"].as_str().map(str::to_owned)).collect()
    };
    let script = state.script();
    let found = services.into_iter().find_map(|name| script.answers.get(&(name, path.clone())));
    let (status, body) = found.cloned().unwrap_or((200, "{}".to_owned()));
    drop(script);
    let body = body.replace("{pod}", pod);
    let reason = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
    format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        reason.unwrap_or("-"),
        body.len()
    )
    .into_bytes()
}

fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|bytes| bytes == b"\r\n\r\n")
}

/// Responds to a port-forward request, and serves it after the upgrade to a WebSocket.
pub(super) fn forward<B: Default>(
    state: &State,
    key: &Key,
    headers: &HeaderMap,
    upgraded: hyper::upgrade::OnUpgrade,
    port: u16,
) -> Result<Response<B>, Failure> {
    let is_running = state.store().get(key).is_some_and(is_ready);
    if !is_running {
        let message = format!("pods \"{}\" not found", key.name);
        return Err(Failure::new(404, "NotFound", message));
    }
    let (state, key) = (state.clone(), key.clone());
    websocket(
        headers,
        upgraded,
        move |socket| async move { exchange(&state, &key, socket, port).await },
    )
}

/// Responds to an exec request, and runs the program after the upgrade to a WebSocket.
pub(super) fn run<B: Default>(
    state: &State,
    key: &Key,
    headers: &HeaderMap,
    upgraded: hyper::upgrade::OnUpgrade,
    container: &str,
    command: Vec<String>,
) -> Result<Response<B>, Failure> {
    let found = state.store().get(key).cloned();
    let Some(pod) = found.filter(|pod| pod["status"]["phase"] == "Running") else {
        let message = format!("pods \"{}\" not found", key.name);
        return Err(Failure::new(404, "NotFound", message));
    };
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let container = containers.into_iter().find(|one| one["name"] == container).unwrap_or_default();
    let state = state.clone();
    websocket(headers, upgraded, move |socket| exec::run(state, container, command, socket))
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Negotiates a WebSocket and serves it.
fn websocket<B: Default, F>(
    headers: &HeaderMap,
    upgraded: hyper::upgrade::OnUpgrade,
    serve: impl FnOnce(Socket) -> F + Send + 'static,
) -> Result<Response<B>, Failure>
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let bad = |message: &str| Failure::new(400, "BadRequest", message.to_owned());
    let challenge = headers.get("sec-websocket-key").ok_or_else(|| bad("no WebSocket"))?;
    let accept = derive_accept_key(challenge.as_bytes());
    tokio::spawn(async move {
        let Ok(connection) = upgraded.await else { return };
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
        // An error here means that the client disconnected.
        let _ = serve(socket).await;
    });
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_PROTOCOL, PROTOCOL),
        (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ] {
        headers.insert(name, value.parse().map_err(|_| bad("no WebSocket"))?);
    }
    Ok(response)
}

async fn exchange<S>(
    state: &State,
    key: &Key,
    mut socket: WebSocketStream<S>,
    port: u16,
) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let [low, high] = port.to_le_bytes();
    // Both channels, data and errors, begin with the port number.
    for channel in [0, 1] {
        socket.send(Message::binary(vec![channel, low, high])).await?;
    }
    let mut request = Vec::new();
    while !is_whole(&request) {
        match socket.next().await.transpose()? {
            Some(Message::Binary(bytes)) => request.extend_from_slice(&bytes[1..]),
            Some(Message::Close(_)) | None => return Ok(()),
            Some(_) => {}
        }
    }
    let answer = answer(state, &key.namespace, &key.name, &request);
    socket.send(Message::binary([&[0], answer.as_slice()].concat())).await?;
    socket.close(None).await
}

/// Serves a Service at a port of this machine, like a node port. Connections fail while none of its pods is ready.
pub(super) async fn node_port(
    state: State,
    listener: TcpListener,
    namespace: String,
    service: String,
) {
    while let Ok((connection, _)) = listener.accept().await {
        let Some(pod) = ready_pods(&state, &namespace, &service).into_iter().next() else {
            continue;
        };
        let (state, namespace) = (state.clone(), namespace.clone());
        tokio::spawn(async move {
            // An error here means that the client disconnected.
            let _ = serve(&state, &namespace, &pod, connection).await;
        });
    }
}

async fn serve(
    state: &State,
    namespace: &str,
    pod: &str,
    mut connection: TcpStream,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    connection.write_all(&answer(state, namespace, pod, &request)).await?;
    connection.shutdown().await
}
