//! A scripted API server on loopback, and the documents that it answers with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use todohost_cluster::{Client, Connection, Timeouts};
use todohost_model::object::ObjectRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const PATH: &str = "/api/v1/namespaces/lab/configmaps/a";
pub(crate) const LIST: &str = "/api/v1/namespaces/lab/configmaps";
pub(crate) const PATHS: &str = "/api/v1/namespaces/lab/configmaps/";

/// A request as the server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
}

/// The server's reaction.
pub(crate) enum Answer {
    Json(u16, Value),
    Later(u16, u32),
    /// Half of the body, then the end of the connection.
    Half,
    /// The end of the connection, without a word.
    Drop,
    /// Nothing, for as long as the client waits.
    Stall,
    /// A watch: these events, then silence until the client goes.
    Events(Vec<Value>),
    /// A watch: these events, then its regular end.
    EventsThenEnd(Vec<Value>),
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    /// `script` gets the request and how many of the same method and path came before.
    pub(crate) async fn start(
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(0, script).await
    }

    pub(crate) async fn start_at(
        port: u16,
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (asked.clone(), Arc::new(script));
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (log.clone(), script.clone());
                connections.spawn(async move { serve(stream, &log, &*script).await });
            }
        });
        Self { port, asked, task }
    }

    /// Closes the port and all connections.
    pub(crate) async fn stop(self) -> u16 {
        self.task.abort();
        let _ = self.task.await;
        self.port
    }

    pub(crate) fn kubeconfig(&self, user: &str) -> Connection {
        let port = self.port;
        Connection::Kubeconfig(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters: [{{name: lab, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
             contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]\nusers: [{{name: lab, user: {user}}}]\n"
        ))
    }

    pub(crate) async fn client(&self) -> Client {
        let timeouts = Timeouts { request: Duration::from_millis(400), ..Timeouts::default() };
        Client::connect(&self.kubeconfig("{token: t0ken}"), &[], timeouts).await.unwrap()
    }

    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|one| one.method == method && one.path.starts_with(path)).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    script: &(dyn Fn(&Asked, usize) -> Answer + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let before = {
            let mut log = log.lock().unwrap();
            let same = |one: &&Asked| one.method == asked.method && one.path == asked.path;
            let before = log.iter().filter(same).count();
            log.push(asked.clone());
            before
        };
        let answer = match asked.path.as_str() {
            "/version" if before == 0 => {
                Answer::Json(200, json!({ "major": "1", "minor": "35", "gitVersion": "v1.35.4" }))
            }
            "/api/v1" => Answer::Json(
                200,
                json!({ "kind": "APIResourceList", "resources": [
                { "name": "configmaps", "kind": "ConfigMap", "namespaced": true },
                { "name": "events", "kind": "Event", "namespaced": true },
            ] }),
            ),
            _ => script(&asked, before),
        };
        if !reply(&mut stream, answer).await {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let header = |name: &str| {
                head.lines().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let length: usize =
                header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                buffer.drain(..end + 4 + length);
                let mut words = head.split(' ').map(str::to_owned);
                return Some(Asked {
                    method: words.next()?,
                    path: words.next()?,
                    authorization: header("authorization").unwrap_or_default(),
                });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// `false` if the connection ends.
async fn reply(stream: &mut TcpStream, answer: Answer) -> bool {
    let mut write = async |text: String| stream.write_all(text.as_bytes()).await.is_ok();
    let chunk = |event: &Value| {
        let line = format!("{event}\n");
        format!("{:x}\r\n{line}\r\n", line.len())
    };
    let chunked =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    match answer {
        Answer::Json(status, body) => {
            let body = body.to_string();
            let length = body.len();
            write(format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")).await
        }
        Answer::Later(status, seconds) => {
            write(format!(
                "HTTP/1.1 {status} X\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await
        }
        Answer::Half => {
            write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"kind\":".to_owned()).await;
            false
        }
        Answer::Drop => false,
        Answer::Stall => {
            let mut rest = [0; 1];
            let _ = stream.read(&mut rest).await;
            false
        }
        Answer::Events(events) => {
            write(chunked.to_owned() + &events.iter().map(chunk).collect::<String>()).await;
            let mut rest = [0; 1];
            let _ = stream.read(&mut rest).await;
            false
        }
        Answer::EventsThenEnd(events) => {
            write(chunked.to_owned() + &events.iter().map(chunk).collect::<String>() + "0\r\n\r\n")
                .await
        }
    }
}

pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message })
}

pub(crate) fn config_map(version: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "key": value },
        "metadata": { "name": "a", "namespace": "lab", "uid": "u1", "resourceVersion": version } })
}

pub(crate) fn named() -> ObjectRef {
    ObjectRef::of(&config_map("1", "x")).unwrap()
}
