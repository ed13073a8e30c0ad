//! A scripted cluster: an HTTP server on loopback that speaks the Kubernetes API.
//!
//! Owns the script (behaviours, refusals, delays, answers of apps) and the record of requests.
//! Storage is `store`, what apps answer on the wire `app`, programs in pods `exec`, ownership of fields `merge`, Deployments `controller`, Jobs and lone pods `completion`, the
//! wire `server`, logs and usage `kubelet`, label and field selectors `selection`.

mod app;
mod completion;
mod controller;
mod exec;
mod fields;
mod kinds;
mod kubelet;
mod merge;
mod selection;
mod server;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub use controller::Behaviour;
pub use exec::FromPods;
pub use kinds::Kind;
use store::Store;
pub use store::{Failure as Refusal, Key};

/// Something that goes wrong between client and cluster.
#[derive(Clone, Debug)]
pub struct Fault {
    /// E.g. `PATCH`; empty for every method.
    pub method: String,
    /// Part of the path, e.g. `/deployments/`.
    pub path: String,
    /// How many requests it strikes; `None` for all.
    pub times: Option<usize>,
    /// What happens to them.
    pub effect: Effect,
}

/// What a fault does to a request.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It is refused so.
    Refuse(Refusal),
    /// It is answered this much later.
    Delay(Duration),
    /// It is never answered, and not carried out; the connection stays.
    Hang,
    /// It is carried out, and never answered; the connection stays.
    Swallow,
}

/// A request that the cluster saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// E.g. `PATCH`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without its question mark.
    pub query: String,
    /// As sent.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether it changes the cluster: a write that is no dry run.
    pub fn writes(&self) -> bool {
        self.method != "GET"
            && !self.query.contains("dryRun=All")
            && !self.path.contains("/authorization.k8s.io/")
    }
}

#[derive(Debug, Default)]
struct Script {
    behaviours: BTreeMap<String, Behaviour>,
    of_images: BTreeMap<(String, String), Behaviour>,
    faults: Vec<Fault>,
    answers: BTreeMap<(String, String), (u16, String)>,
    forbidden: Vec<(String, String)>,
    from_pods: BTreeMap<String, FromPods>,
    requests: Vec<Request>,
}

/// What the server, the controllers and the test share.
#[derive(Clone, Debug)]
struct State {
    store: Arc<Mutex<Store>>,
    script: Arc<Mutex<Script>>,
    node: Arc<str>,
    version: Arc<str>,
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviour(&self, deployment: &str, template: &Value) -> Behaviour {
        let script = self.script();
        let image = template["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        script
            .of_images
            .get(&(deployment.to_owned(), image.to_owned()))
            .or_else(|| script.behaviours.get(deployment))
            .cloned()
            .unwrap_or(Behaviour::Ready)
    }

    fn node(&self) -> &str {
        &self.node
    }
}

/// How a scripted cluster is shaped.
#[derive(Clone, Debug)]
pub struct Builder {
    node: String,
    version: String,
    kinds: Vec<Kind>,
}

impl Builder {
    /// Name of the only node.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        name.clone_into(&mut self.node);
        self
    }

    /// Version of the API server, e.g. `1.35.4`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Serves another kind, e.g. a custom resource.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Starts it; it ends when it is dropped.
    pub fn start(self) -> FakeCluster {
        let store = store::furnished(self.kinds, &self.node);
        let state = State {
            store: Arc::new(Mutex::new(store)),
            script: Arc::default(),
            node: self.node.into(),
            version: self.version.into(),
        };
        let server = server::Server::start(state.clone());
        FakeCluster { state, server }
    }
}

/// A scripted cluster, running.
#[derive(Debug)]
pub struct FakeCluster {
    state: State,
    server: server::Server,
}

impl FakeCluster {
    /// A cluster with one node and the built-in kinds.
    pub fn builder() -> Builder {
        Builder { node: "node-1".into(), version: "1.35.4".into(), kinds: store::default_kinds() }
    }

    /// Starts such a cluster as it is.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A kubeconfig whose current context is `context` and leads here.
    pub fn kubeconfig(&self, context: &str) -> String {
        kubeconfig(context, &format!("http://{}", self.address()))
    }

    /// Writes that kubeconfig.
    pub fn write_kubeconfig(&self, path: &Path, context: &str) {
        std::fs::write(path, self.kubeconfig(context)).expect("the kubeconfig can be written");
    }

    /// Says what becomes of the pods of a Deployment from its next rollout on, or of a Job or lone pod when it runs.
    pub fn behaviour(&self, deployment: &str, behaviour: Behaviour) {
        self.state.script().behaviours.insert(deployment.to_owned(), behaviour);
    }

    /// The same for one image of its first container; goes before what is said of the Deployment.
    pub fn behaviour_of_image(&self, deployment: &str, image: &str, behaviour: Behaviour) {
        let place = (deployment.to_owned(), image.to_owned());
        self.state.script().of_images.insert(place, behaviour);
    }

    /// Lets something go wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.state.script().faults.push(fault);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.state.script().faults.clear();
    }

    /// What a Service's app answers at a path, in which `{pod}` is the pod's name; without it a ready app answers 200
    /// and `{}`.
    pub fn answer(&self, service: &str, path: &str, status: u16, body: &str) {
        let place = (service.to_owned(), path.to_owned());
        self.state.script().answers.insert(place, (status, body.to_owned()));
    }

    /// Opens a port of this machine that leads to a Service as a node port does: give the Service that number.
    pub fn node_port(&self, namespace: &str, service: &str) -> u16 {
        self.server.node_port(self.state.clone(), namespace, service)
    }

    /// What pods meet at a place, e.g. `db.example:5432`; elsewhere they find no address.
    pub fn from_pods(&self, place: &str, met: FromPods) {
        self.state.script().from_pods.insert(place.to_owned(), met);
    }

    /// The node has these images, and no other.
    pub fn images(&self, names: &[&str]) {
        let key = Key {
            resource: "nodes".into(),
            namespace: String::new(),
            name: self.state.node.to_string(),
        };
        let images: Vec<Value> = names.iter().map(|name| json!({ "names": [name] })).collect();
        let mut store = self.state.store();
        let mut status = store.get(&key).map(|node| node["status"].clone()).unwrap_or_default();
        status["images"] = json!(images);
        store.set_status(&key, &status);
    }

    /// The user may not do this; `verb` and `resource` as in an access review, e.g. `create secrets`.
    pub fn forbid(&self, verb: &str, resource: &str) {
        self.state.script().forbidden.push((verb.to_owned(), resource.to_owned()));
    }

    /// Puts an object there, or merges it into what is there, as somebody else called `manager`.
    pub fn write_as(&self, manager: &str, object: &Value) {
        let key = self.state.store().seed_as(object, manager);
        self.server.reconcile(&self.state, &key);
    }

    /// Takes an object away, as somebody else.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        self.state.store().remove(&key);
    }

    /// One object; `namespace` is empty for what has none.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        self.state.store().get(&key).cloned()
    }

    /// The objects of a resource, e.g. `deployments.apps`; `namespace` may be empty for all.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        self.state.store().list(resource, namespace).cloned().collect()
    }

    /// All objects.
    pub fn objects(&self) -> Vec<(Key, Value)> {
        let store = self.state.store();
        store.objects().map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// What lies in a namespace, as `deployments.apps/todo-app`, without Events; sorted.
    pub fn names_in(&self, namespace: &str) -> Vec<String> {
        let store = self.state.store();
        store
            .objects()
            .filter(|(key, _)| key.namespace == namespace && key.resource != "events")
            .map(|(key, _)| format!("{}/{}", key.resource, key.name))
            .collect()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.script().requests.clone()
    }

    /// The requests so far that change the cluster.
    pub fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::writes).collect()
    }

    /// Waits until a request as described was seen.
    ///
    /// # Panics
    /// If none was after `patience`.
    pub fn wait_for_request(&self, patience: Duration, wanted: impl Fn(&Request) -> bool) {
        self.wait_for_requests(1, patience, wanted);
    }

    /// Waits until so many requests as described were seen.
    ///
    /// # Panics
    /// If they were not after `patience`.
    pub fn wait_for_requests(
        &self,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Request) -> bool,
    ) {
        let deadline = std::time::Instant::now() + patience;
        while self.requests().iter().filter(|&seen| wanted(seen)).count() < count {
            let seen = self.requests();
            assert!(
                std::time::Instant::now() < deadline,
                "not {count} such requests after {patience:?}; seen: {:#?}",
                seen.iter().map(|it| format!("{} {}", it.method, it.path)).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A kubeconfig with one context that leads to `server`.
pub fn kubeconfig(context: &str, server: &str) -> String {
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{ "name": context, "cluster": { "server": server } }],
        "users": [{ "name": context, "user": {} }],
        "contexts": [{ "name": context, "context": { "cluster": context, "user": context } }],
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
