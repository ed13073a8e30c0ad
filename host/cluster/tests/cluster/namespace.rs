//! The cluster that the environment names, and a namespace in it for one test. The tests of releases use this file, too.

use std::path::PathBuf;

use serde_json::json;
use todohost_cluster::{Client, Connection, Timeouts, contexts};
use todohost_model::object::{Object, ObjectRef};

#[expect(clippy::disallowed_methods, reason = "tests have no environment module")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn files() -> Vec<PathBuf> {
    match variable("KUBECONFIG") {
        Some(list) => list.split(':').map(PathBuf::from).collect(),
        None => vec![PathBuf::from(variable("HOME").unwrap()).join(".kube/config")],
    }
}

pub(crate) async fn connect() -> Client {
    let contexts = contexts(&files()).unwrap().into_iter();
    let current = contexts.filter(|context| context.current).map(|context| context.name).next();
    let target = variable("TODOHOST_TEST_TARGET").or(current).unwrap();
    let connection = Connection::Context(target);
    Client::connect(&connection, &files(), Timeouts::default()).await.unwrap()
}

/// A namespace that goes with the test, however it ends.
pub(crate) struct Namespace {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) async fn create(client: &Client, test: &str) -> Self {
        let name = format!("todohost-{test}-{}", std::process::id());
        assert!(client.create_namespace(&name, &[]).await.unwrap(), "it is new");
        Self { client: client.clone(), name }
    }

    pub(crate) fn named(&self, api_version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(self.name.clone()),
            name: name.to_owned(),
        }
    }

    pub(crate) fn config_map(&self, name: &str, value: &str) -> Object {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": self.name },
            "data": { "key": value } })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (client, name) = (self.client.clone(), self.name.clone());
        let gone = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let namespace = ObjectRef {
                api_version: "v1".to_owned(),
                kind: "Namespace".to_owned(),
                namespace: None,
                name,
            };
            runtime.block_on(async {
                // The client of the test belongs to the test's runtime.
                drop(client);
                let _ = connect().await.delete(&namespace, None).await;
            });
        });
        let _ = gone.join();
    }
}
