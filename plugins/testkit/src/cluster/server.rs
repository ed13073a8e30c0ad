//! HTTP server of a scripted cluster: connections, routes, watches.
//!
//! The effect of a request on objects is in `store`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::runtime::{Handle, Runtime};

use super::kinds::{self, Kind};
use super::kubelet::{logs, summary};
use super::selection::Selection;
use super::store::{Failure, Key, Write};
use super::{Effect, Request, State, app, completion, controller};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The listening server. Dropping it stops its runtime.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    pub(super) fn start(state: State) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fake-cluster")
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| handle(state.clone(), request));
                    // An error here means that the client disconnected.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        Self { address, runtime: Some(runtime) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a port of this machine that forwards to a Service.
    pub(super) fn node_port(&self, state: State, namespace: &str, service: &str) -> u16 {
        let runtime = self.runtime.as_ref().expect("the cluster runs");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .expect("loopback has a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        runtime.spawn(app::node_port(state, listener, namespace.to_owned(), service.to_owned()));
        port
    }

    pub(super) fn reconcile(&self, state: &State, key: &Key) {
        if let Some(runtime) = &self.runtime {
            spawn_controller(runtime.handle(), state, key);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn spawn_controller(handle: &Handle, state: &State, key: &Key) {
    match key.resource.as_str() {
        "deployments.apps" => {
            let (namespace, name) = (key.namespace.clone(), key.name.clone());
            handle.spawn(controller::reconcile(state.clone(), namespace, name));
        }
        "jobs.batch" => {
            handle.spawn(completion::run_job(state.clone(), key.clone()));
        }
        "pods" => {
            handle.spawn(completion::run_pod(state.clone(), key.clone()));
        }
        _ => {}
    }
}

fn reply(status: u16, document: &Value) -> Response<Body> {
    raw(status, "application/json", document.to_string())
}

pub(super) fn raw(status: u16, content_type: &str, body: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert("content-type", value);
    }
    response
}

fn refuse(failure: &Failure) -> Response<Body> {
    reply(failure.status, &failure.document())
}

fn not_found(path: &str) -> Failure {
    Failure::new(
        404,
        "NotFound",
        format!("the server could not find the requested resource {path}"),
    )
}

async fn handle(
    state: State,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    let headers = request.headers().clone();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = Call {
        accept: header("accept").to_owned(),
        content_type: header("content-type").to_owned(),
        agent: header("user-agent").split('/').next().unwrap_or_default().to_owned(),
        query: parse_query(&query),
        whole_query: query.clone(),
        method: method.clone(),
        path: path.clone(),
        body: match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => Bytes::new(),
        },
    };
    state.script().requests.push(Request {
        method: method.to_string(),
        path,
        query,
        body: call.body.to_vec(),
    });
    match struck(&state, &call) {
        Some(Effect::Refuse(failure)) => return Ok(refuse(&failure)),
        Some(Effect::Delay(time)) => tokio::time::sleep(time).await,
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::Swallow) => {
            drop(call.answer(&state));
            std::future::pending::<()>().await;
        }
        None => {}
    }
    let answer = match (call.forwarded(), call.pod("exec")) {
        (Some((key, port)), _) => app::forward(&state, &key, &headers, upgraded, port),
        (None, Some(key)) => {
            let container = call.query.get("container").map(String::as_str).unwrap_or_default();
            app::run(&state, &key, &headers, upgraded, container, call.command())
        }
        (None, None) => call.answer(&state),
    };
    Ok(answer.unwrap_or_else(|failure| refuse(&failure)))
}

fn struck(state: &State, call: &Call) -> Option<Effect> {
    let mut script = state.script();
    let fault = script.faults.iter_mut().find(|fault| {
        (fault.method.is_empty() || fault.method == call.method.as_str())
            && call.path.contains(&fault.path)
            && fault.times != Some(0)
    })?;
    if let Some(times) = &mut fault.times {
        *times -= 1;
    }
    Some(fault.effect.clone())
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let byte = match first {
            b'+' => b' ',
            b'%' if tail.len() >= 2 => {
                rest = &tail[2..];
                let digits = std::str::from_utf8(&tail[..2]).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            other => *other,
        };
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Call {
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    whole_query: String,
    accept: String,
    content_type: String,
    agent: String,
    body: Bytes,
}

impl Call {
    /// The pod of a request for this subresource of a pod.
    fn pod(&self, subresource: &str) -> Option<Key> {
        let segments: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let ["api", "v1", "namespaces", namespace, "pods", pod, wanted] = segments.as_slice()
        else {
            return None;
        };
        let (namespace, name) = (decode(namespace), decode(pod));
        (*wanted == subresource).then(|| Key { resource: "pods".into(), namespace, name })
    }

    /// The pod and the port of a port-forward request.
    fn forwarded(&self) -> Option<(Key, u16)> {
        Some((self.pod("portforward")?, self.query.get("ports")?.parse().ok()?))
    }

    /// The program of an exec request with its arguments.
    fn command(&self) -> Vec<String> {
        let pairs = self.whole_query.split('&');
        pairs.filter_map(|pair| pair.strip_prefix("command=")).map(decode).collect()
    }

    fn answer(&self, state: &State) -> Result<Response<Body>, Failure> {
        let segments: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let aggregated = self.accept.contains("g=apidiscovery.k8s.io");
        let discovery = |document: &Value| {
            let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            Ok(raw(200, kind, document.to_string()))
        };
        match segments.as_slice() {
            ["version"] => Ok(reply(200, &version(&state.version))),
            ["healthz" | "livez" | "readyz", ..] => Ok(raw(200, "text/plain", "ok".into())),
            ["api"] if aggregated => discovery(&kinds::aggregated(state.store().kinds(), true)),
            ["apis"] if aggregated => discovery(&kinds::aggregated(state.store().kinds(), false)),
            ["api"] => Ok(reply(200, &kinds::core_versions())),
            ["apis"] => Ok(reply(200, &kinds::group_list(state.store().kinds()))),
            ["api", version] => self.resources(state, "", version),
            ["apis", group, version] => self.resources(state, group, version),
            ["apis", "authorization.k8s.io", _, "selfsubjectaccessreviews"] => self.review(state),
            ["api", version, rest @ ..] => self.objects(state, "", version, rest),
            ["apis", group, version, rest @ ..] => self.objects(state, group, version, rest),
            _ => Err(not_found(&self.path)),
        }
    }

    fn resources(
        &self,
        state: &State,
        group: &str,
        version: &str,
    ) -> Result<Response<Body>, Failure> {
        kinds::resource_list(state.store().kinds(), group, version)
            .map(|document| reply(200, &document))
            .ok_or_else(|| not_found(&self.path))
    }

    fn review(&self, state: &State) -> Result<Response<Body>, Failure> {
        let mut review = self.document()?;
        let wanted = review["spec"]["resourceAttributes"].clone();
        // A review of `*` covers every single permission.
        let is = |field: &str, value: &str| {
            value == "*" || wanted[field] == "*" || wanted[field] == value
        };
        let forbidden = state
            .script()
            .forbidden
            .iter()
            .any(|(verb, resource)| is("verb", verb) && is("resource", resource));
        review["status"] = json!({ "allowed": !forbidden });
        Ok(reply(201, &review))
    }

    fn objects(
        &self,
        state: &State,
        group: &str,
        version: &str,
        rest: &[&str],
    ) -> Result<Response<Body>, Failure> {
        let (namespace, rest) = match rest {
            // `namespaces/NAME` and `namespaces/NAME/status` are the Namespace itself.
            ["namespaces", name, sub, tail @ ..] if !["status", "finalize"].contains(sub) => {
                (decode(name), [&[*sub], tail].concat())
            }
            rest => (String::new(), rest.to_vec()),
        };
        let Some((plural, rest)) = rest.split_first() else { return Err(not_found(&self.path)) };
        let kind =
            state.store().kind_of(group, version, plural).ok_or_else(|| not_found(&self.path))?;
        let key = |name: &str| Key {
            resource: kind.resource(),
            namespace: namespace.clone(),
            name: decode(name),
        };
        match rest {
            [] if self.method == Method::GET => self.list(state, &kind, &namespace),
            [] if self.method == Method::POST => {
                let body = self.document()?;
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                self.write(state, &kind, &key(name), &body, &Write::Create)
            }
            [name] | [name, "status"] => self.one(state, &kind, &key(name)),
            [name, "log"] => logs(state, &key(name)),
            [node, "proxy", "stats", "summary"] if kind.kind == "Node" => {
                Ok(reply(200, &summary(state, node)))
            }
            [name, "proxy", path @ ..] => proxy(state, &kind, &namespace, name, &path.join("/")),
            _ => Err(not_found(&self.path)),
        }
    }

    fn one(&self, state: &State, kind: &Kind, key: &Key) -> Result<Response<Body>, Failure> {
        match self.method {
            Method::GET => {
                let found = state.store().get(key).cloned();
                found.map(|object| reply(200, &object)).ok_or_else(|| {
                    let message = format!("{} \"{}\" not found", kind.resource(), key.name);
                    Failure::new(404, "NotFound", message)
                })
            }
            Method::PUT => self.write(state, kind, key, &self.document()?, &Write::Replace),
            Method::PATCH if self.content_type.contains("json-patch") => {
                let live = state.store().get(key).cloned();
                let mut object = live.ok_or_else(|| not_found(&self.path))?;
                let wrong = |message: String| Failure::new(400, "BadRequest", message);
                let patch = serde_json::from_value::<json_patch::Patch>(self.document()?)
                    .map_err(|error| wrong(error.to_string()))?;
                json_patch::patch(&mut object, &patch).map_err(|error| wrong(error.to_string()))?;
                self.write(state, kind, key, &object, &Write::Patched)
            }
            Method::PATCH => {
                let how = if self.content_type.contains("apply-patch") {
                    if !self.query.contains_key("fieldManager") {
                        let message = "fieldManager is required for apply patch";
                        return Err(Failure::new(400, "BadRequest", message));
                    }
                    Write::Apply { force: self.flag("force") }
                } else {
                    Write::Merge
                };
                self.write(state, kind, key, &self.document()?, &how)
            }
            Method::DELETE => {
                let options = self.document().unwrap_or_default();
                let uid = options["preconditions"]["uid"].as_str();
                let dry_run = self.dry_run() || !options["dryRun"].is_null();
                let gone = state.store().delete(kind, key, uid, dry_run)?;
                Ok(reply(
                    200,
                    &json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                        "details": {
                            "name": key.name, "kind": kind.plural, "uid": gone["metadata"]["uid"],
                        },
                    }),
                ))
            }
            _ => Err(Failure::new(405, "MethodNotAllowed", "the method is not allowed")),
        }
    }

    fn write(
        &self,
        state: &State,
        kind: &Kind,
        key: &Key,
        body: &Value,
        how: &Write,
    ) -> Result<Response<Body>, Failure> {
        let manager = self.query.get("fieldManager").unwrap_or(&self.agent);
        let dry_run = self.dry_run();
        let (object, created) = state.store().write(kind, key, body, how, manager, dry_run)?;
        if !dry_run {
            spawn_controller(&Handle::current(), state, key);
        }
        Ok(reply(if created { 201 } else { 200 }, &object))
    }

    fn list(&self, state: &State, kind: &Kind, namespace: &str) -> Result<Response<Body>, Failure> {
        if self.flag("watch") {
            return self.watch(state, kind, namespace);
        }
        let store = state.store();
        let items: Vec<&Value> =
            store.list(&kind.resource(), namespace).filter(|object| self.selects(object)).collect();
        Ok(reply(
            200,
            &json!({
                "kind": format!("{}List", kind.kind),
                "apiVersion": kind.api_version(),
                "metadata": { "resourceVersion": store.version().to_string() },
                "items": items,
            }),
        ))
    }

    fn watch(
        &self,
        state: &State,
        kind: &Kind,
        namespace: &str,
    ) -> Result<Response<Body>, Failure> {
        if self.flag("sendInitialEvents") {
            let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Failure::new(422, "Invalid", message));
        }
        let from = self.query.get("resourceVersion").map(String::as_str).unwrap_or_default();
        let from: u64 = from.parse().unwrap_or_default();
        let seconds = self.query.get("timeoutSeconds").and_then(|text| text.parse().ok());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds.unwrap_or(300));
        let changed = state.store().subscribe();
        let (state, resource, namespace) = (state.clone(), kind.resource(), namespace.to_owned());
        let selection = Selection::of(&self.query);
        let events = stream::unfold((from, changed), move |(mut seen, mut changed)| {
            let (state, selection) = (state.clone(), selection.clone());
            let (resource, namespace) = (resource.clone(), namespace.clone());
            async move {
                loop {
                    let mut lines = String::new();
                    {
                        let store = state.store();
                        for change in store.since(seen) {
                            let key = &change.key;
                            if key.resource == resource
                                && (namespace.is_empty() || key.namespace == namespace)
                                && selection.takes(&change.object)
                            {
                                let event =
                                    json!({ "type": change.event, "object": change.object });
                                lines.push_str(&event.to_string());
                                lines.push('\n');
                            }
                        }
                        seen = store.version();
                        changed.mark_unchanged();
                    }
                    if !lines.is_empty() {
                        return Some((Bytes::from(lines), (seen, changed)));
                    }
                    match tokio::time::timeout_at(deadline, changed.changed()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) | Err(_) => return None,
                    }
                }
            }
        });
        let frames = events.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        Ok(response)
    }

    fn selects(&self, object: &Value) -> bool {
        Selection::of(&self.query).takes(object)
    }

    fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    fn dry_run(&self) -> bool {
        self.query.get("dryRun").is_some_and(|value| value == "All")
    }

    fn document(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::new(400, "BadRequest", format!("not JSON: {error}")))
    }
}

fn version(version: &str) -> Value {
    let mut parts = version.split('.');
    let mut part = || parts.next().unwrap_or("0").to_owned();
    json!({
        "major": part(), "minor": part(), "gitVersion": format!("v{version}"),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// `GET` request through the API server to a Service or Pod, given as `[SCHEME:]NAME[:PORT]`.
fn proxy(
    state: &State,
    kind: &Kind,
    namespace: &str,
    target: &str,
    path: &str,
) -> Result<Response<Body>, Failure> {
    let target = decode(target);
    let parts: Vec<&str> = target.split(':').collect();
    let name = match parts.as_slice() {
        [_, name, _] | [name, ..] => (*name).to_owned(),
        [] => String::new(),
    };
    let key =
        Key { resource: kind.resource(), namespace: namespace.to_owned(), name: name.clone() };
    let object = state.store().get(&key).cloned();
    let Some(object) = object else {
        return Err(Failure::new(404, "NotFound", format!("{} \"{name}\" not found", kind.plural)));
    };
    let reachable = if kind.kind == "Pod" {
        app::is_ready(&object)
    } else {
        !app::ready_pods(state, namespace, &name).is_empty()
    };
    if !reachable {
        let message = format!("no endpoints available for {} \"{name}\"", kind.kind.to_lowercase());
        return Err(Failure::new(503, "ServiceUnavailable", message));
    }
    let place = (name, format!("/{path}"));
    let answer = state.script().answers.get(&place).cloned();
    let (status, body) = answer.unwrap_or((200, "{}".to_owned()));
    Ok(raw(status, "application/json", body))
}
