//! Watches of a server that expires them, ends them, or says nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use todohost_cluster::{Client, Timeouts};
use tokio_util::sync::CancellationToken;

use crate::server::{Answer, Asked, LIST, Server, config_map, named, status};

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
    // Each call is dropped before its combined changes arrive.
    while told.is_none() && began.elapsed() < Duration::from_secs(2) {
        told = tokio::time::timeout(Duration::from_millis(30), watch.next()).await.ok();
    }
    if told.is_none() {
        told = tokio::time::timeout(Duration::from_secs(2), watch.next()).await.ok();
    }
    let snapshots = told.expect("the change arrives").unwrap().unwrap();
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
