//! Releases and transactions against a real Kubernetes. Each test has a namespace of its own and removes it. Run with
//! `cargo test --release --workspace --test cluster -- --ignored`; the cluster is the context that
//! `TODOHOST_TEST_TARGET` names, else the current one, of `KUBECONFIG`, else of `~/.kube/config`. If `HELM` names a
//! stock helm binary, it reads and continues the releases that the tests deploy.

#![expect(clippy::unwrap_used, reason = "a failure of the preparations fails the test, too")]

// One file for both crates: a library of test code would be a crate for a hundred lines.
#[path = "../../../cluster/tests/cluster/namespace.rs"]
mod namespace;

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use todohost_cluster::ApplyOptions;
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_release::{
    AppliedChanges, Document, DryRun, Facts, NewRevision, Operation, OwnershipPolicy, ReadyGate,
    ReleaseError, Status, Store, Transaction, Wave,
};
use todohost_secrets::{Nonce, Salt, SecretValue, Vault};
use tokio_util::sync::CancellationToken;

use namespace::{Namespace, connect, variable};

const DATABASE_URL: &str = "postgresql://todo:c4nary@db.example:5432/todo";

fn vault() -> Arc<Vault> {
    let vault = Vault::new(Salt::from_bytes([5; 32]));
    vault.insert("secrets.databaseUrl", SecretValue::new(DATABASE_URL.to_owned()));
    Arc::new(vault)
}

fn transaction(namespace: &Namespace, release: &str, vault: &Arc<Vault>) -> Transaction {
    Transaction {
        client: namespace.client.clone(),
        vault: vault.clone(),
        bus: Bus::new().0,
        cancel: CancellationToken::new(),
        release: release.to_owned(),
        namespace: namespace.name.clone(),
        takeover: OwnershipPolicy::default(),
        definitions: HashSet::new(),
        unmigrated: HashSet::new(),
    }
}

async fn dry_run(transaction: &Transaction, waves: &[Wave]) -> DryRun {
    let operations = waves.iter().flat_map(|wave| &wave.operations);
    let names: Vec<_> = operations.map(|operation| operation.target().unwrap()).collect();
    let found = transaction.client.get_many(&names).await.unwrap();
    let live = names.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?)));
    let has_namespace = transaction.client.has_namespace(&transaction.namespace).await.unwrap();
    transaction.dry_run(waves, &live.collect(), &HashSet::new(), has_namespace).await.unwrap()
}

/// Finds everything ready.
struct Always;

#[async_trait]
impl ReadyGate for Always {
    async fn ready(&self, _: &str, _: &[ObjectRef]) -> Result<(), ReleaseError> {
        Ok(())
    }
}

fn wave(operations: Vec<Operation>) -> Wave {
    Wave { title: "objects".to_owned(), operations, wait_for: Vec::new() }
}

fn pod(namespace: &Namespace, name: &str, image: &str) -> Object {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace.name },
        "spec": { "terminationGracePeriodSeconds": 0, "containers": [
            { "name": "main", "image": image, "imagePullPolicy": "Never" }] } })
}

fn secret_with_placeholder(namespace: &Namespace, vault: &Vault) -> Object {
    let form = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "app", "namespace": namespace.name },
        "stringData": { "DATABASE_URL": form } })
}

fn revision(documents: Vec<Document>) -> NewRevision {
    NewRevision {
        chart: json!({ "metadata": { "apiVersion": "v2", "name": "app", "version": "0.1.0", "appVersion": "1.0" },
            "lock": null, "templates": [{ "name": "templates/a.yaml", "data": STANDARD.encode("a: b") }],
            "values": { "replicas": 1 }, "schema": null, "files": [] }),
        config: json!({ "replicas": 2 }),
        documents,
        hooks: Vec::new(),
        notes: "all is well".to_owned(),
        facts: Facts { renderer: "sha256:1".to_owned(), ..Facts::default() },
        begun: jiff::Timestamp::now(),
        from_revision: None,
    }
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_transaction_fills_secrets_and_makes_a_record_that_helm_reads() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "release").await;
    let vault = vault();
    let store = Store::new(client.clone(), &namespace.name, "app");
    assert!(store.newest().await.unwrap().latest.is_none());
    assert!(store.salt().await.unwrap().is_none());

    let transaction = transaction(&namespace, "app", &vault);
    let mut done = AppliedChanges::default();
    transaction.prepare(&mut done).await.unwrap();
    assert!(!done.created_namespace);
    let objects =
        [secret_with_placeholder(&namespace, &vault), namespace.config_map("settings", "one")];
    let waves = [wave(objects.iter().cloned().map(Operation::Apply).collect())];
    let prospected = dry_run(&transaction, &waves).await;
    assert!(prospected.objects.iter().all(|one| one.change == ObjectChange::Created));

    let salt = Salt::from_bytes([5; 32]);
    let documents = |objects: &[Object]| -> Vec<Document> {
        objects
            .iter()
            .map(|object| Document {
                source: "app/templates/all.yaml".to_owned(),
                object: vault.substitute(object.clone()).unwrap(),
            })
            .collect()
    };
    let mut record =
        store.create_pending(revision(documents(&objects)), &salt, None).await.unwrap();
    assert_eq!((record.revision, record.info.status), (1, Status::PendingInstall));
    transaction.execute(&waves, &Always, &mut done).await.unwrap();
    store.finish(&mut record, Status::Deployed, "Install complete").await.unwrap();
    assert_eq!(done.created.len(), 2);

    let live = client.get(&namespace.named("v1", "Secret", "app")).await.unwrap().unwrap();
    assert_eq!(live["data"]["DATABASE_URL"], STANDARD.encode(DATABASE_URL));
    assert_eq!(live["metadata"]["annotations"]["meta.helm.sh/release-name"], "app");
    assert_eq!(dry_run(&transaction, &waves).await.changes().count(), 0, "all is as it should be");

    let deployed = store.newest().await.unwrap().deployed.unwrap();
    assert!(deployed.is_ours());
    assert_eq!(deployed.facts.as_ref().unwrap().renderer, "sha256:1");
    assert_eq!(deployed.documents().unwrap(), documents(&objects));
    assert_eq!(store.salt().await.unwrap().unwrap().as_bytes(), salt.as_bytes());
    assert!(
        matches!(
            store
                .create_pending(revision(Vec::new()), &Salt::from_bytes([6; 32]), Some(&deployed))
                .await,
            Err(ReleaseError::Taken { .. })
        ),
        "another salt is another deploy's"
    );

    // A second revision supersedes the first.
    let objects =
        [secret_with_placeholder(&namespace, &vault), namespace.config_map("settings", "two")];
    let waves = [wave(objects.iter().cloned().map(Operation::Apply).collect())];
    assert!(
        matches!(
            store.create_pending(revision(documents(&objects)), &salt, None).await,
            Err(ReleaseError::Taken { revision: 1, .. })
        ),
        "it was decided without knowing of the first"
    );
    let second = store.create_pending(revision(documents(&objects)), &salt, Some(&deployed));
    let mut second = second.await.unwrap();
    assert_eq!((second.revision, second.info.status), (2, Status::PendingUpgrade));
    assert_eq!(second.info.first_deployed, record.info.first_deployed);
    let mut done = AppliedChanges::default();
    transaction.execute(&waves, &Always, &mut done).await.unwrap();
    assert_eq!((done.created.len(), done.configured.len(), done.unchanged.len()), (0, 1, 1));
    store.finish(&mut second, Status::Deployed, "Upgrade complete").await.unwrap();
    let states: Vec<_> = store
        .list()
        .await
        .unwrap()
        .iter()
        .map(|summary| (summary.revision, summary.status))
        .collect();
    assert_eq!(states, [(1, Status::Superseded), (2, Status::Deployed)]);

    helm_continues(&namespace, &store).await;
}

/// Stock Helm reads both revisions, goes back to the first, and the host reads on.
async fn helm_continues(namespace: &Namespace, store: &Store) {
    let Some(helm) = variable("HELM") else { return };
    let helm = |arguments: &[&str]| {
        let output = Command::new(&helm)
            .args(["--namespace", &namespace.name])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "helm {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let list: Value = serde_json::from_str(&helm(&["list", "--output", "json"])).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["revision"], &list[0]["status"], &list[0]["chart"]),
        (&json!("app"), &json!("2"), &json!("deployed"), &json!("app-0.1.0"))
    );
    let history: Value =
        serde_json::from_str(&helm(&["history", "app", "--output", "json"])).unwrap();
    assert_eq!(
        (history.as_array().unwrap().len(), &history[0]["status"]),
        (2, &json!("superseded"))
    );
    let status: Value =
        serde_json::from_str(&helm(&["status", "app", "--output", "json"])).unwrap();
    assert_eq!(
        (&status["apply_method"], &status["info"]["notes"]),
        (&json!("ssa"), &json!("all is well"))
    );
    assert!(helm(&["get", "manifest", "app"]).contains("# Source: app/templates/all.yaml"));
    let values: Value =
        serde_json::from_str(&helm(&["get", "values", "app", "--output", "json"])).unwrap();
    assert_eq!(values, json!({ "replicas": 2 }));

    helm(&["rollback", "app", "1"]);
    let live = namespace
        .client
        .get(&namespace.named("v1", "ConfigMap", "settings"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(live["data"]["key"], "one");
    let secret =
        namespace.client.get(&namespace.named("v1", "Secret", "app")).await.unwrap().unwrap();
    assert_eq!(secret["data"]["DATABASE_URL"], STANDARD.encode(DATABASE_URL));
    let latest = store.newest().await.unwrap().latest.unwrap();
    assert_eq!(
        (latest.revision, latest.info.status, latest.is_ours()),
        (3, Status::Deployed, false)
    );
    assert_eq!(latest.documents().unwrap().len(), 2);
    assert!(store.salt().await.unwrap().is_some(), "the salt survives a rollback by stock Helm");

    helm(&["uninstall", "app"]);
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_failed_install_leaves_nothing_behind() {
    let client = connect().await;
    let name = format!("todohost-first-{}", std::process::id());
    let guard = Namespace { client: client.clone(), name: name.clone() };
    let vault = vault();
    let transaction = transaction(&guard, "app", &vault);
    let mut done = AppliedChanges::default();
    transaction.prepare(&mut done).await.unwrap();
    assert!(done.created_namespace);

    let store = Store::new(client.clone(), &name, "app");
    let record =
        store.create_pending(revision(Vec::new()), &Salt::from_bytes([5; 32]), None).await.unwrap();
    let mut broken = guard.config_map("broken", "x");
    broken["metadata"]["labels"] = json!({ "not a label!": "x" });
    let waves = [wave(vec![
        Operation::Apply(secret_with_placeholder(&guard, &vault)),
        Operation::Apply(guard.config_map("settings", "x")),
        Operation::Apply(pod(&guard, "pod", "todohost.invalid/none:1")),
        Operation::Apply(broken),
    ])];
    let error = transaction.execute(&waves, &Always, &mut done).await.unwrap_err();
    assert!(
        matches!(&error, ReleaseError::Apply { object, others, .. } if object.name == "broken" && others.is_empty()),
        "{error}"
    );
    assert_eq!(done.created.len(), 3, "the rest of the wave was carried out");

    let rolled_back = transaction.roll_back(&done, &[]).await.unwrap();
    assert_eq!(rolled_back.removed.len(), 3);
    assert!(!transaction.remove_namespace().await.unwrap(), "the record is still in it");
    store.remove(record.revision).await.unwrap();
    assert!(transaction.remove_namespace().await.unwrap());
    let namespace =
        ObjectRef { api_version: "v1".into(), kind: "Namespace".into(), namespace: None, name };
    assert_eq!(client.get(&namespace).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_failed_upgrade_restores_the_previous_state() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "upgrade").await;
    let vault = vault();
    let transaction = transaction(&namespace, "app", &vault);
    let before = [
        secret_with_placeholder(&namespace, &vault),
        namespace.config_map("settings", "one"),
        namespace.config_map("old", "one"),
    ];
    let mut done = AppliedChanges::default();
    transaction
        .execute(
            &[wave(before.iter().cloned().map(Operation::Apply).collect())],
            &Always,
            &mut done,
        )
        .await
        .unwrap();
    let previous: Vec<_> = before
        .iter()
        .map(|object| Document {
            source: String::new(),
            object: vault.substitute(object.clone()).unwrap(),
        })
        .collect();

    let mut done = AppliedChanges::default();
    let mut settings = namespace.config_map("settings", "two");
    settings["data"]["added"] = "field".into();
    let mut gate_fails = wave(vec![
        Operation::Apply(settings),
        Operation::Apply(namespace.config_map("new", "x")),
        Operation::Delete(namespace.named("v1", "ConfigMap", "old")),
        Operation::Keep(namespace.named("v1", "Secret", "app"), "by rule".to_owned()),
    ]);
    gate_fails.wait_for = vec![namespace.named("v1", "ConfigMap", "new")];
    let error = transaction.execute(&[gate_fails], &Never, &mut done).await.unwrap_err();
    assert!(matches!(error, ReleaseError::NotReady { .. }), "{error}");
    assert_eq!(
        (done.created.len(), done.configured.len(), done.deleted.len(), done.kept.len()),
        (1, 1, 1, 1)
    );

    let rolled_back = transaction.roll_back(&done, &previous).await.unwrap();
    assert_eq!((rolled_back.restored.len(), rolled_back.removed.len()), (3, 1));
    let names = ["settings", "old", "new"].map(|name| namespace.named("v1", "ConfigMap", name));
    let live = client.get_many(&names).await.unwrap();
    assert_eq!(
        live[0].as_ref().unwrap()["data"],
        json!({ "key": "one" }),
        "the added field is gone, too"
    );
    assert_eq!(live[1].as_ref().unwrap()["data"], json!({ "key": "one" }));
    assert!(live[2].is_none());
}

/// Finds nothing ready.
struct Never;

#[async_trait]
impl ReadyGate for Never {
    async fn ready(&self, wave: &str, _: &[ObjectRef]) -> Result<(), ReleaseError> {
        Err(ReleaseError::NotReady { wave: wave.to_owned(), reason: "never".to_owned() })
    }
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_cancelled_transaction_stops_between_operations() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "cancel").await;
    let vault = vault();
    let transaction = transaction(&namespace, "app", &vault);
    transaction.cancel.cancel();
    let mut done = AppliedChanges::default();
    let waves = [wave(vec![Operation::Apply(namespace.config_map("a", "x"))])];
    let error = transaction.execute(&waves, &Always, &mut done).await.unwrap_err();
    assert!(matches!(error, ReleaseError::Cancelled), "{error}");
    assert!(done.created.is_empty());
    assert_eq!(client.get(&namespace.named("v1", "ConfigMap", "a")).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_leak_stops_before_anything_is_changed() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "leak").await;
    let vault = vault();
    let transaction = transaction(&namespace, "app", &vault);
    let form = vault.placeholder("secrets.databaseUrl", Nonce::First).unwrap();
    let waves = [
        wave(vec![Operation::Apply(namespace.config_map("fine", "x"))]),
        wave(vec![Operation::Apply(namespace.config_map("leak", &form))]),
    ];
    let error =
        transaction.execute(&waves, &Always, &mut AppliedChanges::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "secret secrets.databaseUrl leaks into ConfigMap/leak /data/key");
    assert_eq!(client.get(&namespace.named("v1", "ConfigMap", "fine")).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn many_objects_take_little_time() {
    let client = connect().await;
    let namespace = Namespace::create(&client, "many").await;
    let vault = vault();
    let transaction = transaction(&namespace, "app", &vault);
    let operations = (0..200)
        .map(|number| Operation::Apply(namespace.config_map(&format!("n{number}"), "x")))
        .collect();
    let waves = [wave(operations)];
    let began = Instant::now();
    let mut done = AppliedChanges::default();
    transaction.execute(&waves, &Always, &mut done).await.unwrap();
    let applied = began.elapsed();
    let began = Instant::now();
    assert_eq!(dry_run(&transaction, &waves).await.changes().count(), 0);
    println!("200 objects: applied in {applied:?}, found unchanged in {:?}", began.elapsed());
    assert_eq!(done.created.len(), 200);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_namespace_in_which_someone_put_something_stays() {
    let client = connect().await;
    let name = format!("todohost-shared-{}", std::process::id());
    let guard = Namespace { client: client.clone(), name: name.clone() };
    let transaction = transaction(&guard, "app", &vault());
    let mut done = AppliedChanges::default();
    transaction.prepare(&mut done).await.unwrap();
    // A kind that no release of ours has.
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "theirs", "namespace": name } });
    client.apply(&lease, ApplyOptions::default()).await.unwrap();
    assert!(!transaction.remove_namespace().await.unwrap());
    client.delete(&ObjectRef::of(&lease).unwrap(), None).await.unwrap();
    assert!(transaction.remove_namespace().await.unwrap());
}
