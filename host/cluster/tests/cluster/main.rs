//! The cluster client against a real Kubernetes. Each test has a namespace of its own and removes it. Run with
//! `cargo test --release --workspace --test cluster -- --ignored`; the cluster is the context that
//! `TODOHOST_TEST_TARGET` names, else the current one, of `KUBECONFIG`, else of `~/.kube/config`.

#![expect(clippy::unwrap_used, reason = "a failure of the preparations fails the test, too")]

mod namespace;

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use todohost_cluster::{ApplyOptions, ClusterError, LogRequest, Query, Snapshot};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use tokio_util::sync::CancellationToken;

use namespace::{Namespace, connect};

fn deployment(namespace: &Namespace, name: &str, image: &str) -> Object {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace.name },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "main", "image": image, "imagePullPolicy": "Never" }] } } } })
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn version_and_kinds_are_discovered() {
    let client = connect().await;
    assert!(client.version().git_version.starts_with("v1."), "{:?}", client.version());
    let versions = client.api_versions().await.unwrap();
    for wanted in ["v1", "v1/Pod", "apps/v1", "apps/v1/Deployment", "networking.k8s.io/v1/Ingress"]
    {
        assert!(versions.iter().any(|version| version == wanted), "{wanted}");
    }
    let unknown = client.kind("example.org/v1", "Widget").await.unwrap_err();
    assert!(matches!(unknown, ClusterError::UnknownKind { .. }), "{unknown}");
    // A kind discovered alone equals the same one among all.
    assert_eq!(
        connect().await.kind("apps/v1", "Deployment").await.unwrap(),
        client.kind("apps/v1", "Deployment").await.unwrap()
    );
    assert!(client.can_i("create", "apps/v1", "Deployment", Some("default")).await.unwrap());
    let nodes = client
        .list(&Query { api_version: "v1".into(), kind: "Node".into(), ..Query::default() })
        .await
        .unwrap();
    let summary =
        client.node_summary(nodes[0]["metadata"]["name"].as_str().unwrap()).await.unwrap();
    assert!(summary.get("node").is_some());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn apply_reports_changes() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "apply").await;
    let (one, two) = (namespace.config_map("a", "one"), namespace.config_map("a", "two"));
    let dry = ApplyOptions { dry_run: true, force: false };
    let real = ApplyOptions::default();
    let named = ObjectRef::of(&one).unwrap();

    assert_eq!(client.apply(&one, dry).await.unwrap().change, ObjectChange::Created);
    assert_eq!(client.get(&named).await.unwrap(), None, "a dry run leaves nothing");
    assert_eq!(client.apply(&one, real).await.unwrap().change, ObjectChange::Created);
    assert_eq!(client.apply(&one, dry).await.unwrap().change, ObjectChange::Unchanged);
    assert_eq!(client.apply(&one, real).await.unwrap().change, ObjectChange::Unchanged);
    assert_eq!(client.apply(&two, dry).await.unwrap().change, ObjectChange::Configured);
    assert_eq!(client.apply(&two, real).await.unwrap().change, ObjectChange::Configured);

    // Another manager takes the field.
    let output = Command::new("kubectl")
        .args(["--context", client.context(), "--namespace", &namespace.name])
        .args(["patch", "configmap", "a", "--field-manager=a-person"])
        .args(["-p", r#"{"data":{"key":"by hand"}}"#])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let conflict = client.apply(&one, real).await.unwrap_err();
    let ClusterError::Conflict { conflicts, .. } = &conflict else { panic!("{conflict:?}") };
    assert_eq!(
        (conflicts[0].field.as_str(), conflicts[0].manager.as_str()),
        (".data.key", "a-person")
    );
    let told = conflict.to_string();
    // The API server does not always report the time; the transaction finds it in the object.
    assert!(told.starts_with("ConfigMap/a: .data.key is managed by a-person"), "{told}");
    let forced = ApplyOptions { force: true, ..real };
    assert_eq!(client.apply(&one, forced).await.unwrap().change, ObjectChange::Configured);

    let refused = client
        .apply(
            &json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "Not A Name", "namespace": namespace.name } }),
            real,
        )
        .await
        .unwrap_err();
    assert!(matches!(refused, ClusterError::Refused { .. }), "{refused:?}");

    let uid =
        client.get(&named).await.unwrap().unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let other =
        client.delete(&named, Some("11111111-2222-3333-4444-555555555555")).await.unwrap_err();
    assert!(matches!(other, ClusterError::Precondition { exists: false, .. }), "{other:?}");
    assert!(client.delete(&named, Some(&uid)).await.unwrap());
    assert!(!client.delete(&named, Some(&uid)).await.unwrap(), "gone already");
    let many: Vec<_> =
        (0..3).map(|number| namespace.named("v1", "ConfigMap", &format!("n{number}"))).collect();
    assert_eq!(client.get_many(&many).await.unwrap(), [None, None, None]);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn lists_page_by_page_and_places_objects() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "list").await;
    for name in ["a", "b", "c"] {
        client.apply(&namespace.config_map(name, "x"), ApplyOptions::default()).await.unwrap();
    }
    let query = Query {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(namespace.name.clone()),
        field_selector: Some("metadata.name!=kube-root-ca.crt".into()),
        ..Query::default()
    };
    let all = client.list(&query).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|object| object["kind"] == "ConfigMap" && object["apiVersion"] == "v1"));
    assert_eq!(client.list(&Query { limit: Some(2), ..query.clone() }).await.unwrap().len(), 2);
    let bare = client.list(&Query { metadata_only: true, ..query }).await.unwrap();
    assert!(bare.len() == 3 && bare[0].get("data").is_none());

    let placed = client
        .place(
            vec![
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" } }),
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "other" } }),
                json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "a", "namespace": "x" } }),
                json!({ "apiVersion": "example.org/v1", "kind": "Widget", "metadata": { "name": "a" } }),
                json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "widgets.example.org" },
                    "spec": { "group": "example.org", "scope": "Namespaced", "names": { "kind": "Widget" }, "versions": [{ "name": "v1" }] } }),
            ],
            "here",
        )
        .await
        .unwrap();
    let namespaces: Vec<_> =
        placed.iter().map(|object| object["metadata"]["namespace"].as_str()).collect();
    assert_eq!(namespaces, [Some("here"), Some("other"), None, Some("here"), None]);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn watches_objects_with_their_dependents() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "watch").await;
    let objects =
        [namespace.named("apps/v1", "Deployment", "web"), namespace.named("v1", "ConfigMap", "a")];
    client.apply(&namespace.config_map("a", "one"), ApplyOptions::default()).await.unwrap();

    let cancel = CancellationToken::new();
    let mut watch = client.watch(&objects, cancel.clone()).await.unwrap();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.len(), 2, "one snapshot of each at first");
    assert!(first[0].object.is_none() && first[1].object.is_some());

    // An image that is nowhere: the kubelet says so in the pod and in an event.
    client
        .apply(&deployment(&namespace, "web", "todohost.invalid/none:1"), ApplyOptions::default())
        .await
        .unwrap();
    let mut last: Option<Snapshot> = None;
    let told = tokio::time::timeout(Duration::from_mins(1), async {
        while let Some(snapshots) = watch.next().await.unwrap() {
            for snapshot in snapshots {
                assert_eq!(snapshot.object_ref.name, "web", "nothing else changed");
                let text = serde_json::to_string(&snapshot.related).unwrap();
                let event = snapshot.events.iter().any(|event| {
                    event["reason"] == "ErrImageNeverPull" || event["reason"] == "Failed"
                });
                let found = text.contains("ErrImageNeverPull") && event;
                last = Some(snapshot);
                if found {
                    return;
                }
            }
        }
    })
    .await;
    let last = last.expect("the deployment was seen");
    assert!(told.is_ok(), "{:?}", last.events);
    let kinds: Vec<_> =
        last.related.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Pod", "ReplicaSet"]);

    let pod = ObjectRef::of(&last.related[0]).unwrap();
    let request = LogRequest { pod, container: None, previous: false, tail_lines: 5 };
    assert!(matches!(client.logs(&request).await, Err(ClusterError::Refused { .. })));

    let waiting = tokio::spawn(async move { watch.next().await });
    cancel.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), async {
        // Changes that were on their way may still come first.
        waiting.await.unwrap().unwrap()
    });
    assert!(ended.await.is_ok());
}
