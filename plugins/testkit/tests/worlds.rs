//! Tests of the scripted cluster over HTTP, and of scripted programs as processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "functions shared by tests fail a test by a panic"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use todohost_testkit::{Behaviour, FakeCluster, FakeTools, Fault, Refusal, Rule, cluster::Effect};

fn send(cluster: &FakeCluster, method: &str, path: &str, kind: &str, body: &Value) -> TcpStream {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut connection = TcpStream::connect(cluster.address()).unwrap();
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nhost: cluster\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    connection
}

fn call(cluster: &FakeCluster, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let kind = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
    let mut text = String::new();
    send(cluster, method, path, kind, body).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": image }] },
            },
        },
    })
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const APPLY: &str =
    "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=helm&force=false";

/// Reads the events of a watch until one satisfies `wanted`.
fn watch(cluster: &FakeCluster, path: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut lines = BufReader::new(send(cluster, "GET", path, "", &Value::Null)).lines();
    let mut seen = Vec::new();
    loop {
        let line = lines.next().expect("the watch goes on").unwrap();
        if let Ok(event @ Value::Object(_)) = serde_json::from_str(&line) {
            let last = wanted(&event);
            seen.push(event);
            if last {
                return seen;
            }
        }
    }
}

#[test]
fn applied_deployment_becomes_ready_and_second_apply_changes_nothing() {
    let cluster = FakeCluster::start();
    let (status, created) = call(&cluster, "PATCH", APPLY, &deployment("web:1"));
    assert_eq!(status, 201, "{created}");
    let path = "/apis/apps/v1/namespaces/default/deployments?watch=true&resourceVersion=0";
    let seen = watch(&cluster, path, |event| event["object"]["status"]["readyReplicas"] == 1);
    assert_eq!(seen[0]["type"], "ADDED");

    let before = cluster.get("deployments.apps", "default", "web").unwrap();
    let (status, again) = call(&cluster, "PATCH", APPLY, &deployment("web:1"));
    assert_eq!((status, &again), (200, &before));

    let pods = cluster.list("pods", "default");
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["status"]["phase"], "Running");
}

#[test]
fn dry_run_writes_nothing() {
    let cluster = FakeCluster::start();
    let path = format!("{APPLY}&dryRun=All");
    let (status, object) = call(&cluster, "PATCH", &path, &deployment("web:1"));
    assert_eq!(
        (status, &object["spec"]["template"]["metadata"]["labels"]["app"]),
        (201, &json!("web"))
    );
    assert_eq!(call(&cluster, "GET", DEPLOYMENT, &Value::Null).0, 404);
    assert!(cluster.writes().is_empty());
}

#[test]
fn conflict_names_the_field_and_its_manager() {
    let cluster = FakeCluster::start();
    let mut wanted = deployment("web:1");
    wanted["spec"]["replicas"] = json!(1);
    call(&cluster, "PATCH", APPLY, &wanted);
    cluster.write_as(
        "kubectl-scale",
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "default" }, "spec": { "replicas": 3 } }),
    );
    let (status, refusal) = call(&cluster, "PATCH", APPLY, &wanted);
    assert_eq!(status, 409);
    let causes = refusal["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{refusal}");
    assert_eq!(causes[0]["reason"], "FieldManagerConflict");
    assert_eq!(causes[0]["field"], ".spec.replicas");
    // As on a real server, the time of the other manager's write follows.
    let message = causes[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("conflict with \"kubectl-scale\" using apps/v1 at 20"),
        "{message}"
    );
}

#[test]
fn pod_without_image_waits_and_the_old_pod_stays() {
    let cluster = FakeCluster::start();
    call(&cluster, "PATCH", APPLY, &deployment("web:1"));
    let path = "/apis/apps/v1/namespaces/default/deployments?watch=true";
    watch(&cluster, path, |event| event["object"]["status"]["readyReplicas"] == 1);
    cluster.behaviour(
        "web",
        Behaviour::Waiting { reason: "ErrImageNeverPull".into(), message: "not present".into() },
    );
    call(&cluster, "PATCH", APPLY, &deployment("web:2"));
    let reason = |event: &Value| {
        event["object"]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone()
    };
    let path = "/api/v1/namespaces/default/pods?watch=true";
    watch(&cluster, path, |event| reason(event) == "ErrImageNeverPull");
    assert_eq!(cluster.list("pods", "default").len(), 2);
}

#[test]
fn delete_removes_dependents_and_checks_the_uid() {
    let cluster = FakeCluster::start();
    call(&cluster, "PATCH", APPLY, &deployment("web:1"));
    let path = "/apis/apps/v1/namespaces/default/deployments?watch=true";
    watch(&cluster, path, |event| event["object"]["status"]["readyReplicas"] == 1);
    let wrong = json!({ "preconditions": { "uid": "another" } });
    assert_eq!(call(&cluster, "DELETE", DEPLOYMENT, &wrong).0, 409);
    assert_eq!(call(&cluster, "DELETE", DEPLOYMENT, &Value::Null).0, 200);
    assert_eq!(cluster.names_in("default"), Vec::<String>::new());
}

#[test]
fn write_returns_the_new_version_and_stale_version_is_refused() {
    let cluster = FakeCluster::start();
    let path = "/api/v1/namespaces/default/configmaps";
    let object = json!({ "metadata": { "name": "a" }, "data": { "x": "1" } });
    let (_, created) = call(&cluster, "POST", path, &object);
    assert_eq!(Some(&created), cluster.get("configmaps", "default", "a").as_ref());
    let mut changed = created.clone();
    changed["data"]["x"] = json!("2");
    let path = format!("{path}/a");
    let (_, replaced) = call(&cluster, "PUT", &path, &changed);
    assert_ne!(replaced["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    assert_eq!(call(&cluster, "PUT", &path, &created).0, 409);
}

#[test]
fn jobs_and_pods_without_owner_end_as_scripted() {
    let cluster = FakeCluster::start();
    cluster.behaviour("bad", Behaviour::Exits { code: 3, log: "no table\n".into() });
    let spec = json!({ "containers": [{ "name": "main", "image": "tools:1" }] });
    for name in ["good", "bad"] {
        let job = json!({ "metadata": { "name": name }, "spec": { "template": { "spec": spec } } });
        call(&cluster, "POST", "/apis/batch/v1/namespaces/default/jobs", &job);
    }
    let path = "/apis/batch/v1/namespaces/default/jobs?watch=true";
    let ended = |name: &str, condition: &str| {
        watch(&cluster, path, |event| {
            event["object"]["metadata"]["name"] == name
                && event["object"]["status"]["conditions"][0]["type"] == condition
        });
    };
    ended("good", "Complete");
    ended("bad", "Failed");
    let pods = cluster.list("pods", "default");
    let bad = pods.iter().find(|pod| pod["status"]["phase"] == "Failed").unwrap();
    let name = bad["metadata"]["name"].as_str().unwrap();
    let log = format!("/api/v1/namespaces/default/pods/{name}/log");
    let mut text = String::new();
    send(&cluster, "GET", &log, "", &Value::Null).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("no table\n"), "{text}");

    let pod = json!({ "metadata": { "name": "lone" }, "spec": spec });
    call(&cluster, "POST", "/api/v1/namespaces/default/pods", &pod);
    let path = "/api/v1/namespaces/default/pods?watch=true";
    watch(&cluster, path, |event| {
        event["object"]["metadata"]["name"] == "lone"
            && event["object"]["status"]["phase"] == "Succeeded"
    });
}

#[test]
fn terminating_namespace_refuses_new_objects() {
    let cluster = FakeCluster::start();
    cluster.write_as(
        "kubectl",
        &json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "shop", "deletionTimestamp": "2026-02-08T10:00:00Z" } }),
    );
    let object = json!({ "metadata": { "name": "a" } });
    let (status, refusal) = call(&cluster, "POST", "/api/v1/namespaces/shop/configmaps", &object);
    assert_eq!(status, 403);
    assert_eq!(refusal["details"]["causes"][0]["reason"], "NamespaceTerminating");
}

#[test]
fn fault_affects_the_given_number_of_requests() {
    let cluster = FakeCluster::start();
    cluster.fault(Fault {
        method: "GET".into(),
        path: "/version".into(),
        times: Some(1),
        effect: Effect::Refuse(Refusal::new(503, "ServiceUnavailable", "starting")),
    });
    assert_eq!(call(&cluster, "GET", "/version", &Value::Null).0, 503);
    assert_eq!(call(&cluster, "GET", "/version", &Value::Null).1["gitVersion"], "v1.35.4");
}

#[test]
fn programs_follow_their_rules_and_keep_flags() {
    let tools = FakeTools::new(Path::new(env!("CARGO_BIN_EXE_todohost-fake-tool")));
    tools.program(
        "builder",
        &[
            Rule::on("image inspect *").requires("built").prints("there\n"),
            Rule::on("image inspect *").fails(1, "no such image\n"),
            Rule::on("build --id-file * .").writes("--id-file", "sha256:1").sets("built"),
        ],
    );
    let builder = tools.path().join(format!("builder{}", std::env::consts::EXE_SUFFIX));
    let run = |args: &[&str]| Command::new(&builder).args(args).output().unwrap();
    assert_eq!(run(&["image", "inspect", "a"]).stderr, b"no such image\n");
    let file = tools.path().join("id");
    run(&["build", "--id-file", &file.display().to_string(), "."]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "sha256:1");
    assert_eq!(run(&["image", "inspect", "a"]).stdout, b"there\n");
    assert!(!run(&["push", "a"]).status.success());
    assert_eq!(tools.unmatched(), ["builder push a"]);
}
