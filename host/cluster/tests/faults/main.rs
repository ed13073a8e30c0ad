//! The cluster client against an API server that is slow, overloaded, restarting or cut off. The server is a scripted
//! one on loopback: each test sets its answers.

#![expect(clippy::unwrap_used, reason = "a failure of the preparations fails the test, too")]

mod server;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use todohost_cluster::{ApplyOptions, Client, ClusterError, Query, Timeouts, Unreachable};
use todohost_model::object::{ObjectChange, ObjectRef};
use tokio::net::TcpListener;

use server::{Answer, Asked, LIST, PATH, PATHS, Server, config_map, named, status};

/// Is it the error that was expected?
type Fits = fn(&ClusterError) -> bool;

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
async fn a_lasting_fault_is_reported_with_its_cause() {
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
async fn a_request_that_may_have_succeeded_is_not_repeated() {
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
async fn refusals_have_their_own_errors() {
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

/// The objects that are requested by name.
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
    // The list alone, which is not the path of an object.
    assert_eq!((server.count("GET", LIST), server.count("GET", PATHS)), (1, 0));
}

#[tokio::test]
async fn objects_beyond_the_first_page_are_requested_by_name() {
    let server = every_other_of_twenty(|asked| {
        one_of_twenty(asked).unwrap_or_else(|| list_of_twenty(10, "more"))
    })
    .await;
    // Five were in the list.
    assert_eq!(server.count("GET", PATHS), 15);
}

#[tokio::test]
async fn without_list_permission_objects_are_requested_by_name() {
    let server = every_other_of_twenty(|asked| {
        let message = "configmaps is forbidden: User \"ada\" cannot list resource \"configmaps\"";
        one_of_twenty(asked).unwrap_or_else(|| Answer::Json(403, status(403, "Forbidden", message)))
    })
    .await;
    assert_eq!(server.count("GET", PATHS), 20);
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
async fn a_refusal_by_a_server_that_may_have_just_started_is_retried() {
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
async fn an_unanswered_write_is_looked_up_and_repeated_only_if_missing() {
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
    // Of another client.
    let server = Server::start(|asked, _| match asked.method.as_str() {
        "POST" => Answer::Drop,
        _ => Answer::Json(200, config_map("1", "other")),
    })
    .await;
    server.client().await.create(&config_map("", "x")).await.unwrap_err();
    assert_eq!(server.count("POST", LIST), 1);
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
async fn a_cluster_that_rejects_the_user_is_reported_at_once() {
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
