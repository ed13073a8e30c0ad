//! What the cluster client makes of an API server that is slow, overloaded, restarting or cut off. The server is a
//! scripted one on loopback: each test says what it answers to which request.

#![expect(clippy::unwrap_used, reason = "a failure of the preparations fails the test, too")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use todohost::cluster::{
    ApplyOptions, Client, ClusterError, Connection, Query, Timeouts, Unreachable,
};
use todohost::event::ObjectChange;
use todohost::object::ObjectRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// A request as the server sees it.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    authorization: String,
}

/// What the server does with it.
enum Answer {
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

struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `script` gets the request and how many of the same method and path came before.
    async fn start(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(0, script).await
    }

    async fn start_at(
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

    /// Nobody listens any more, and what was open is closed.
    async fn stop(self) -> u16 {
        self.task.abort();
        let _ = self.task.await;
        self.port
    }

    fn kubeconfig(&self, user: &str) -> Connection {
        let port = self.port;
        Connection::Kubeconfig(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters: [{{name: lab, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
             contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]\nusers: [{{name: lab, user: {user}}}]\n"
        ))
    }

    async fn client(&self) -> Client {
        let timeouts = Timeouts { request: Duration::from_millis(400), ..Timeouts::default() };
        Client::connect(&self.kubeconfig("{token: t0ken}"), &[], timeouts).await.unwrap()
    }

    fn count(&self, method: &str, path: &str) -> usize {
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

/// `false` where the connection ends.
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

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message })
}

fn config_map(version: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "key": value },
        "metadata": { "name": "a", "namespace": "lab", "uid": "u1", "resourceVersion": version } })
}

fn named() -> ObjectRef {
    ObjectRef::of(&config_map("1", "x")).unwrap()
}

/// Is it the error that was expected?
type Fits = fn(&ClusterError) -> bool;

const PATH: &str = "/api/v1/namespaces/lab/configmaps/a";
const LIST: &str = "/api/v1/namespaces/lab/configmaps";
const PATHS: &str = "/api/v1/namespaces/lab/configmaps/";

#[tokio::test]
async fn a_passing_fault_is_not_seen() {
    let faults: [fn() -> Answer; 7] = [
        || Answer::Later(429, 0),
        || Answer::Later(503, 0),
        || Answer::Json(500, status(500, "InternalError", "etcd has no leader")),
        || Answer::Json(504, status(504, "Timeout", "request did not complete")),
        || Answer::Half,
        || Answer::Drop,
        || Answer::Stall,
    ];
    for fault in faults {
        let server = Server::start(move |_, before| match before {
            0 => fault(),
            _ => Answer::Json(200, config_map("1", "x")),
        })
        .await;
        let found = server.client().await.get(&named()).await.unwrap().unwrap();
        assert_eq!(found["data"]["key"], "x");
        assert_eq!(server.count("GET", PATH), 2);
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_kept() {
    let server = Server::start(|_, before| match before {
        0 => Answer::Later(429, 1),
        _ => Answer::Json(200, config_map("1", "x")),
    })
    .await;
    let client = server.client().await;
    let began = Instant::now();
    client.get(&named()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_fault_that_stays_is_told_with_its_cause() {
    let server =
        Server::start(|_, _| Answer::Json(500, status(500, "InternalError", "etcd is\nfull")))
            .await;
    let error = server.client().await.get(&named()).await.unwrap_err();
    let ClusterError::Server { action, cause } = &error else { panic!("{error:?}") };
    assert_eq!((action.as_str(), cause.to_string().as_str()), ("get ConfigMap/a", "etcd is full"));
    assert_eq!(server.count("GET", PATH), 3);

    let server = Server::start(|_, _| Answer::Stall).await;
    let error = server.client().await.get(&named()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_not_sent_twice() {
    let unsure: [fn() -> Answer; 3] = [
        || Answer::Drop,
        || Answer::Stall,
        || Answer::Json(500, status(500, "InternalError", "x")),
    ];
    for fault in unsure {
        let server = Server::start(move |_, _| fault()).await;
        server.client().await.create(&config_map("", "x")).await.unwrap_err();
        assert_eq!(server.count("POST", LIST), 1);
    }
    // It was turned away unread: that is sure.
    let server = Server::start(|_, before| match before {
        0 => Answer::Later(429, 0),
        _ => Answer::Json(201, config_map("1", "x")),
    })
    .await;
    server.client().await.create(&config_map("", "x")).await.unwrap();
    assert_eq!(server.count("POST", LIST), 2);
}

#[tokio::test]
async fn a_race_with_another_writer_is_tried_again_a_conflict_of_managers_is_not() {
    let server = Server::start(|asked, before| match (asked.method.as_str(), before) {
        ("GET", _) => Answer::Json(200, config_map("1", "x")),
        (_, 0) => Answer::Json(409, status(409, "Conflict", "the object has been modified")),
        _ => Answer::Json(200, config_map("2", "y")),
    })
    .await;
    let applied =
        server.client().await.apply(&config_map("", "y"), ApplyOptions::default()).await.unwrap();
    assert_eq!(applied.change, ObjectChange::Configured);
    assert_eq!(server.count("PATCH", PATH), 2);

    let server = Server::start(|asked, _| {
        if asked.method == "GET" {
            Answer::Json(200, config_map("1", "x"))
        } else {
            let mut conflict = status(409, "Conflict", "Apply failed with 1 conflict");
            conflict["details"] = json!({ "causes": [{ "reason": "FieldManagerConflict",
                "message": "conflict with \"hpa\" using v1", "field": ".spec.replicas" }] });
            Answer::Json(409, conflict)
        }
    })
    .await;
    let error = server
        .client()
        .await
        .apply(&config_map("", "y"), ApplyOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ClusterError::Conflict { .. }), "{error:?}");
    assert_eq!(server.count("PATCH", PATH), 1);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let cases: [(u16, &str, Fits); 4] = [
        (401, "Unauthorized", |error| matches!(error, ClusterError::Unauthorised { .. })),
        (403, "Forbidden", |error| matches!(error, ClusterError::Forbidden { .. })),
        (422, "Invalid", |error| matches!(error, ClusterError::Refused { status: 422, .. })),
        (409, "AlreadyExists", |error| {
            matches!(error, ClusterError::Precondition { exists: true, .. })
        }),
    ];
    for (code, reason, fits) in cases {
        let server =
            Server::start(move |_, _| Answer::Json(code, status(code, reason, "because"))).await;
        let error = server.client().await.create(&config_map("", "x")).await.unwrap_err();
        assert!(fits(&error), "{code}: {error:?}");
    }
    let server = Server::start(|_, _| Answer::Json(200, json!("no object"))).await;
    let error = server
        .client()
        .await
        .list(&Query { api_version: "v2".into(), ..Query::default() })
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClusterError::UnknownKind { .. } | ClusterError::Answer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_list_that_goes_stale_between_pages_is_asked_for_whole() {
    let server = Server::start(|asked, _| {
        if asked.path.contains("continue=next") {
            Answer::Json(410, status(410, "Expired", "the continue token is too old"))
        } else if asked.path.contains("limit") {
            Answer::Json(
                200,
                json!({ "metadata": { "continue": "next" }, "items": [config_map("1", "x")] }),
            )
        } else {
            Answer::Json(
                200,
                json!({ "metadata": {}, "items": [config_map("1", "x"), config_map("2", "y")] }),
            )
        }
    })
    .await;
    let query = Query {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some("lab".into()),
        ..Query::default()
    };
    assert_eq!(server.client().await.list(&query).await.unwrap().len(), 2);
}

fn numbered(number: usize) -> ObjectRef {
    ObjectRef { name: format!("n{number}"), ..named() }
}

/// Twenty objects of which only the even ones are there, asked for together.
async fn every_other_of_twenty(
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> Server {
    let server = Server::start(move |asked, _| answer(asked)).await;
    let wanted: Vec<ObjectRef> = (0..20).map(numbered).collect();
    let found = server.client().await.get_many(&wanted).await.unwrap();
    let names: Vec<Option<&str>> = found
        .iter()
        .map(|one| one.as_ref().and_then(|one| one.pointer("/metadata/name")?.as_str()))
        .collect();
    for (number, name) in names.into_iter().enumerate() {
        let expected = format!("n{number}");
        assert_eq!(name, (number % 2 == 0).then_some(expected.as_str()));
    }
    server
}

/// What is asked for by its name.
fn one_of_twenty(asked: &Asked) -> Option<Answer> {
    let number: usize = asked.path.strip_prefix(PATHS)?.strip_prefix('n')?.parse().ok()?;
    if number % 2 == 1 {
        return Some(Answer::Json(404, status(404, "NotFound", "no")));
    }
    let mut object = config_map("1", "x");
    object["metadata"]["name"] = format!("n{number}").into();
    Some(Answer::Json(200, object))
}

/// A list of those below a number, and whether there are more.
fn list_of_twenty(below: usize, next: &str) -> Answer {
    let items = (0..below).step_by(2).map(|number| {
        let mut object = config_map("1", "x");
        object["metadata"]["name"] = format!("n{number}").into();
        object
    });
    let items: Vec<Value> = items.collect();
    Answer::Json(200, json!({ "metadata": { "continue": next }, "items": items }))
}

#[tokio::test]
async fn many_objects_of_a_kind_are_asked_for_by_one_list() {
    let server = every_other_of_twenty(|asked| {
        one_of_twenty(asked).unwrap_or_else(|| list_of_twenty(20, ""))
    })
    .await;
    // The list alone, which is no object's path.
    assert_eq!((server.count("GET", LIST), server.count("GET", PATHS)), (1, 0));
}

#[tokio::test]
async fn what_a_long_list_does_not_begin_with_is_asked_for_by_name() {
    let server = every_other_of_twenty(|asked| {
        one_of_twenty(asked).unwrap_or_else(|| list_of_twenty(10, "more"))
    })
    .await;
    // Five were in the list.
    assert_eq!(server.count("GET", PATHS), 15);
}

#[tokio::test]
async fn who_may_not_list_asks_by_name() {
    let server = every_other_of_twenty(|asked| {
        let message = "configmaps is forbidden: User \"ada\" cannot list resource \"configmaps\"";
        one_of_twenty(asked).unwrap_or_else(|| Answer::Json(403, status(403, "Forbidden", message)))
    })
    .await;
    assert_eq!(server.count("GET", PATHS), 20);
}

/// The list of the watched kind at each version, and no events about anything.
fn listed(asked: &Asked, version: &str, value: &str) -> Answer {
    let items =
        if asked.path.starts_with(LIST) { vec![config_map(version, value)] } else { Vec::new() };
    Answer::Json(
        200,
        json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items }),
    )
}

#[tokio::test]
async fn a_watch_lists_anew_after_it_expired_and_goes_on_after_it_ended() {
    let server = Server::start(|asked, before| match (asked.path.contains("watch=true"), asked.path.starts_with(LIST)) {
        (false, _) => match before {
            0 => listed(asked, "1", "one"),
            _ => listed(asked, "5", "five"),
        },
        (true, false) => Answer::Stall,
        (true, true) if asked.path.contains("resourceVersion=1") => Answer::EventsThenEnd(vec![
            json!({ "type": "MODIFIED", "object": config_map("2", "two") }),
        ]),
        (true, true) if asked.path.contains("resourceVersion=2") => Answer::EventsThenEnd(vec![
            json!({ "type": "ERROR", "object": status(410, "Expired", "too old resource version") }),
        ]),
        (true, true) => Answer::Events(vec![json!({ "type": "MODIFIED", "object": config_map("6", "six") })]),
    })
    .await;
    let client = server.client().await;
    let mut watch = client.watch(&[named()], CancellationToken::new()).await.unwrap();
    let mut seen = Vec::new();
    let all = tokio::time::timeout(Duration::from_secs(20), async {
        while seen.last().is_none_or(|value| value != "six") {
            for snapshot in watch.next().await.unwrap().unwrap() {
                seen.push(snapshot.object.unwrap()["data"]["key"].as_str().unwrap().to_owned());
            }
        }
    });
    all.await.unwrap();
    assert_eq!(
        (seen.first().map(String::as_str), seen.get(1).map(String::as_str)),
        (Some("one"), Some("two"))
    );
}

#[tokio::test]
async fn a_watch_that_opens_at_the_second_attempt_is_not_held_against_a_quiet_kind() {
    let server = Server::start(|asked, before| {
        match (asked.path.contains("watch=true"), before) {
            (false, _) => listed(asked, "1", "one"),
            (true, 0) => Answer::Json(500, status(500, "InternalError", "etcd has no leader")),
            // Open, and nothing happens.
            (true, _) => Answer::Events(Vec::new()),
        }
    })
    .await;
    let timeouts = Timeouts { call: Duration::from_secs(6), ..Timeouts::default() };
    let client = Client::connect(&server.kubeconfig("{}"), &[], timeouts).await.unwrap();
    let mut watch = client.watch(&[named()], CancellationToken::new()).await.unwrap();
    watch.next().await.unwrap().unwrap();
    let quiet = tokio::time::timeout(Duration::from_secs(9), watch.next()).await;
    assert!(quiet.is_err(), "{:?}", quiet.unwrap().map(|_| ()));
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for() {
    let script = |_: &Asked, _| Answer::Json(200, config_map("1", "x"));
    let server = Server::start(script).await;
    let client = server.client().await;
    client.get(&named()).await.unwrap();
    let port = server.stop().await;
    let asked = tokio::spawn(async move { client.get(&named()).await });
    // Longer than all the pauses between attempts at a server that only fails.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let _again = Server::start_at(port, script).await;
    assert!(asked.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn what_a_server_forbids_that_may_have_just_started_is_asked_again() {
    let forbidden = || {
        let why = r#"configmaps is forbidden: User "lab" cannot get resource "configmaps""#;
        Answer::Json(403, status(403, "Forbidden", why))
    };
    let server = Server::start(move |_, before| match before {
        0 => Answer::Drop,
        1 | 2 => forbidden(),
        _ => Answer::Json(200, config_map("1", "x")),
    });
    let server = server.await;
    assert!(server.client().await.get(&named()).await.unwrap().is_some());
    assert_eq!(server.count("GET", PATH), 4);

    // Of one that was there all the time it is the last word.
    let server = Server::start(move |_, _| forbidden()).await;
    let error = server.client().await.get(&named()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Forbidden { .. }), "{error:?}");
    assert_eq!(server.count("GET", PATH), 1);
}

#[tokio::test]
async fn what_was_carried_out_unheard_is_found_and_what_was_not_is_sent_again() {
    // Carried out: it is there when it is looked for.
    let server = Server::start(|asked, _| match asked.method.as_str() {
        "POST" => Answer::Drop,
        _ => Answer::Json(200, config_map("1", "x")),
    })
    .await;
    server.client().await.create(&config_map("", "x")).await.unwrap();
    assert_eq!(server.count("POST", LIST), 1);
    // Not carried out.
    let server = Server::start(|asked, before| match (asked.method.as_str(), before) {
        ("POST", 0) => Answer::Drop,
        ("POST", _) => Answer::Json(201, config_map("1", "x")),
        _ => Answer::Json(404, status(404, "NotFound", "no")),
    })
    .await;
    server.client().await.create(&config_map("", "x")).await.unwrap();
    assert_eq!(server.count("POST", LIST), 2);
    // Somebody else's.
    let server = Server::start(|asked, _| match asked.method.as_str() {
        "POST" => Answer::Drop,
        _ => Answer::Json(200, config_map("1", "other")),
    })
    .await;
    server.client().await.create(&config_map("", "x")).await.unwrap_err();
    assert_eq!(server.count("POST", LIST), 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_loses_nothing() {
    let server = Server::start(|asked, _| {
        match (asked.path.contains("watch=true"), asked.path.starts_with(LIST)) {
            (false, _) => listed(asked, "1", "one"),
            (true, true) => Answer::Events(vec![
                json!({ "type": "MODIFIED", "object": config_map("2", "two") }),
            ]),
            (true, false) => Answer::Stall,
        }
    })
    .await;
    let mut watch =
        server.client().await.watch(&[named()], CancellationToken::new()).await.unwrap();
    watch.next().await.unwrap().unwrap();
    let mut told = None;
    let began = Instant::now();
    // Each call is given up before the changes of its moment are told together.
    while told.is_none() && began.elapsed() < Duration::from_secs(2) {
        told = tokio::time::timeout(Duration::from_millis(30), watch.next()).await.ok();
    }
    if told.is_none() {
        told = tokio::time::timeout(Duration::from_secs(2), watch.next()).await.ok();
    }
    let snapshots = told.expect("the change is told").unwrap().unwrap();
    assert_eq!(snapshots[0].object.as_ref().unwrap()["data"]["key"], "two");
}

#[tokio::test]
async fn a_healthy_first_look_opens_no_watch() {
    let server = Server::start(|asked, _| listed(asked, "1", "one")).await;
    let client = server.client().await;
    let mut watch = client.watch(&[named()], CancellationToken::new()).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().len(), 1);
    drop(watch);
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|one| !one.path.contains("watch=")), "{asked:?}");
}

#[tokio::test]
async fn a_watch_that_is_cancelled_ends() {
    let server = Server::start(|asked, _| {
        if asked.path.contains("watch=true") { Answer::Stall } else { listed(asked, "1", "one") }
    })
    .await;
    let cancel = CancellationToken::new();
    let mut watch = server.client().await.watch(&[named()], cancel.clone()).await.unwrap();
    watch.next().await.unwrap().unwrap();
    let waiting = tokio::spawn(async move { watch.next().await });
    cancel.cancel();
    assert!(
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn credentials_come_from_the_plugin_that_the_kubeconfig_names() {
    let server = Server::start(|_, _| Answer::Json(200, config_map("1", "x"))).await;
    let folder = tempfile::tempdir().unwrap();
    let credential = folder.path().join("credential.json");
    let text = json!({ "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": { "token": "from-the-plugin" } });
    std::fs::write(&credential, text.to_string()).unwrap();
    let user = |program: &str| {
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {program}, args: [{:?}], interactiveMode: Never}}}}",
            credential.display()
        )
    };
    let connection = server.kubeconfig(&user("cat"));
    let client = Client::connect(&connection, &[], Timeouts::default()).await.unwrap();
    client.get(&named()).await.unwrap();
    assert!(
        server
            .asked
            .lock()
            .unwrap()
            .iter()
            .all(|one| one.authorization == "Bearer from-the-plugin")
    );

    let connection = server.kubeconfig(&user("todohost-no-such-program"));
    let error = Client::connect(&connection, &[], Timeouts::default()).await.err().unwrap();
    assert!(matches!(error, ClusterError::Unauthorised { .. }), "{error:?}");
}

#[tokio::test]
async fn a_cluster_that_turns_the_user_away_at_once_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let server = Server { port, asked: Arc::default(), task: tokio::spawn(async {}) };
    let began = Instant::now();
    let error =
        Client::connect(&server.kubeconfig("{}"), &[], Timeouts::default()).await.err().unwrap();
    assert!(
        matches!(error, ClusterError::Unreachable { reason: Unreachable::Refused, .. }),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert!(help.contains("start the cluster"), "{help}");
}
