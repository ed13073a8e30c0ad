//! Where the services answer that are open to the user.
//!
//! Owns which address is told: the target's, where it leads to this very cluster; else a port-forward, with a word
//! about why. That the same app of another cluster answers there shows when it says the names of its pods, and when it
//! answered before this cluster had the port; what was seen once is remembered.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::route::{self, Answer, Likeness};
use crate::run::error::RunError;
use crate::run::session::{Deadline, Session, lock};
use todohost_cluster::{Client, Pods, Query};
use todohost_model::digest::Hasher;
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::target;

/// A pod that is ready is routed to within a moment, and one that went away is not any more.
const ROUTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// Where nothing may be, nobody waits for long.
const SILENCE: Duration = Duration::from_secs(1);

/// Where an address leads.
#[derive(Debug)]
enum Leads {
    /// To this cluster.
    Here,
    /// To the same app, of this cluster or another one.
    Perhaps,
    /// Somewhere else.
    Elsewhere(&'static str),
    Nowhere,
}

impl Session {
    /// Finds out where the services that are open to the outside answer.
    pub(in crate::run) async fn find_addresses(&self, objects: &[Object], bus: &Bus) {
        let Ok(reached) = self.reached() else { return };
        let names: Vec<ObjectRef> =
            objects.iter().filter_map(open_service).map(|service| named(&service)).collect();
        // The cluster may have chosen the ports.
        let Ok(live) = reached.client.get_many(&names).await else { return };
        let found = live.iter().flatten().map(|live| self.find_address(&reached.client, live, bus));
        let found = join_all(found).await;
        lock(&self.addresses).extend(found.into_iter().flatten());
    }

    async fn find_address(&self, client: &Client, live: &Object, bus: &Bus) -> Option<String> {
        let service = open_service(live)?;
        let target = self.target.as_deref().unwrap_or_default();
        let forward = format!("todohost forward {} --target {target}", service.name);
        let Ok(target::Reach::Url(url)) = self.ask_target(service.clone(), bus).await else {
            return Some(forward);
        };
        let name = &service.name;
        let (level, word, address) = match self.follow(client, live, &service, &url).await {
            Leads::Here => return Some(url),
            Leads::Perhaps => {
                let word = format!(
                    "{url} answers as Service/{name} does; so would the same app of another cluster, and nothing tells the two apart (surely this one's: {forward})"
                );
                ("info", word, url)
            }
            Leads::Elsewhere(why) => {
                ("warn", format!("{url} does not lead to this cluster: {why}"), forward)
            }
            Leads::Nowhere => ("warn", format!("{url} does not answer"), forward),
        };
        self.note(bus, level, word);
        Some(address)
    }

    /// Looks which addresses answer that this cluster does not have yet, but will have once it is applied.
    pub(in crate::run) async fn look_before(&self, bus: &Bus) -> Result<(), RunError> {
        let namespace = &self.run.project.file.app.namespace;
        let documents = &self.rendered()?.documents;
        let wanted: Vec<target::Service> = documents
            .iter()
            .filter_map(|document| {
                let mut object = document.object.clone();
                if object["metadata"]["namespace"].is_null() {
                    object["metadata"]["namespace"] = namespace.clone().into();
                }
                open_service(&object).filter(|service| service.node_port.is_some())
            })
            .collect();
        let names: Vec<ObjectRef> = wanted.iter().map(named).collect();
        let live = self.or_cancelled(self.reached()?.client.get_many(&names)).await?;
        let unheard = wanted.into_iter().zip(live).filter(|(service, live)| {
            let has = live.as_ref().and_then(open_service);
            has.is_none_or(|has| has.node_port != service.node_port)
        });
        let looks = unheard.map(|(service, _)| async {
            let Ok(target::Reach::Url(url)) = self.ask_target(service, bus).await else { return };
            // Who is slow to answer is not silent.
            let asked = timeout(SILENCE, route::ask_address(&url, ANSWER_WITHIN)).await;
            if let Ok(answer) = asked {
                lock(&self.answered_before).insert(url, answer.is_some());
            }
        });
        join_all(looks).await;
        Ok(())
    }

    async fn ask_target(
        &self,
        service: target::Service,
        bus: &Bus,
    ) -> Result<target::Reach, RunError> {
        let reached = self.reached()?;
        let context = self.context(bus.clone(), Deadline::Short, "reach");
        let mut plugin = self.plugin(&reached.target)?.target(context)?;
        Ok(plugin.reach_service(reached.target.options.to_string(), service).await?)
    }

    /// Where an address leads, once the routes of the cluster have settled.
    async fn follow(
        &self,
        client: &Client,
        live: &Object,
        service: &target::Service,
        url: &str,
    ) -> Leads {
        let until = Instant::now() + ROUTED_WITHIN;
        let pods = client.pods(&service.namespace);
        loop {
            let leads = match route::ask_address(url, ANSWER_WITHIN).await {
                Some(answer) => {
                    let (same, names) = ask_pod(client, &pods, live, service, url).await;
                    self.judge(client, live, url, route::compare(&answer, &same, &names)).await
                }
                None => self.forget(live, url),
            };
            let is_settled = matches!(leads, Leads::Here | Leads::Perhaps);
            if is_settled || Instant::now() >= until || self.cancel.is_cancelled() {
                return leads;
            }
            sleep(PAUSE).await;
        }
    }

    async fn judge(&self, client: &Client, live: &Object, url: &str, likeness: Likeness) -> Leads {
        let (memo, question) = (self.memo("address"), question(live, url));
        let before = lock(&self.answered_before).get(url).copied();
        let remembered = || memo.recall::<Option<bool>>(&question).flatten();
        let is_ours = match likeness {
            Likeness::Other => return Leads::Elsewhere("what answers there is something else"),
            Likeness::Ours => true,
            Likeness::Same => match before.map(|answered| !answered).or_else(remembered) {
                Some(is_ours) => is_ours,
                None if is_of_a_node(client, url).await => true,
                None => return Leads::Perhaps,
            },
        };
        memo.remember(&question, &Some(is_ours));
        if is_ours {
            return Leads::Here;
        }
        Leads::Elsewhere("something answered there before this cluster had the port")
    }

    /// Whoever answered there is gone, and who comes next is another question.
    fn forget(&self, live: &Object, url: &str) -> Leads {
        let (memo, question) = (self.memo("address"), question(live, url));
        if memo.recall::<Option<bool>>(&question) == Some(Some(false)) {
            memo.remember(&question, &None::<bool>);
        }
        Leads::Nowhere
    }
}

/// What is remembered of an address is about this very Service.
fn question(live: &Object, url: &str) -> String {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    Hasher::new().part(uid).part(url).finish()
}

/// What a pod of the Service answers, twice, and the names of those that are ready and called as no other pod
/// anywhere.
async fn ask_pod(
    client: &Client,
    pods: &Pods,
    live: &Object,
    service: &target::Service,
    url: &str,
) -> (Vec<Answer>, Vec<String>) {
    let found = pods.behind(live, service.port, &[], ANSWER_WITHIN).await;
    let Some(backends) = found else { return (Vec::new(), Vec::new()) };
    let asked = [&backends[0]; 2].map(|backend| {
        timeout(ANSWER_WITHIN, async {
            let stream = client.open_port(&service.namespace, backend).await.ok()?;
            route::ask(stream, url).await
        })
    });
    let answers = join_all(asked).await.into_iter().filter_map(|answer| answer.ok()?).collect();
    let unique = backends.into_iter().filter(|backend| backend.is_unique);
    (answers, unique.map(|backend| backend.pod).collect())
}

/// An address of a node is nobody else's; those of this machine are.
async fn is_of_a_node(client: &Client, url: &str) -> bool {
    let Some((host, _)) = route::place(url) else { return false };
    let is_here = host.parse::<std::net::IpAddr>().map_or(true, |address| address.is_loopback());
    let wanted =
        Query { api_version: "v1".to_owned(), kind: "Node".to_owned(), ..Query::default() };
    if is_here {
        return false;
    }
    let nodes = client.list(&wanted).await.unwrap_or_default();
    let addresses = nodes.iter().filter_map(|node| node.pointer("/status/addresses")?.as_array());
    addresses.flatten().any(|address| address["address"] == host.as_str())
}

fn named(service: &target::Service) -> ObjectRef {
    todohost_cluster::service_ref(&service.namespace, &service.name)
}

/// A service that is meant to be reached from outside the cluster, with its first port.
pub(in crate::run) fn open_service(object: &Object) -> Option<target::Service> {
    let spec = object.get("spec")?;
    let is_open = matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if object["kind"] != "Service" || !is_open {
        return None;
    }
    let port = spec["ports"].as_array()?.first()?;
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let name = ObjectRef::of(object)?;
    Some(target::Service {
        namespace: name.namespace?,
        name: name.name,
        port: number(&port["port"])?,
        node_port: number(&port["nodePort"]),
    })
}
