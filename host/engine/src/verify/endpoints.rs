//! The addresses at which the app's open Services answer.
//!
//! The target's address is printed only if it is verified to reach this cluster; otherwise a port-forward is, with the
//! reason. The same app in another cluster may answer at the address as well. It is distinguished by the pod names in
//! its answers, and by whether something answered before this cluster had the port. A verified address is cached.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::endpoint_match::{self, Answer, Match};
use crate::connected::Connected;
use crate::context::{Deadline, note};
use crate::error::RunError;
use crate::stages::{Applied, Rendered};
use todohost_cluster::{Client, Pods, Query};
use todohost_model::digest::Hasher;
use todohost_model::event::{Bus, Level};
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::target;

/// Routes follow the readiness of pods within a moment.
const ROUTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for an answer where probably nothing listens.
const SILENCE: Duration = Duration::from_secs(1);

/// Where an address leads.
#[derive(Debug)]
enum EndpointCheck {
    /// To this cluster.
    Here,
    /// To the same app, of this cluster or another one.
    Perhaps,
    /// To something else, for this reason.
    Elsewhere(&'static str),
    /// Nothing answers.
    Nowhere,
}

/// Finds the addresses of the Services that are open to the outside.
pub(crate) async fn find_addresses(
    connected: &Connected,
    applied: Option<&Applied>,
    objects: &[Object],
    bus: &Bus,
) -> Vec<String> {
    let names: Vec<ObjectRef> =
        objects.iter().filter_map(open_service).map(|service| named(&service)).collect();
    // Read the Services again, since the cluster may have chosen the ports.
    let Ok(live) = connected.client.get_many(&names).await else { return Vec::new() };
    let before = applied.map(|applied| &applied.answered_before);
    let found = live.iter().flatten().map(|live| find_address(connected, before, live, bus));
    join_all(found).await.into_iter().flatten().collect()
}

async fn find_address(
    connected: &Connected,
    answered_before: Option<&BTreeMap<String, bool>>,
    live: &Object,
    bus: &Bus,
) -> Option<String> {
    let service = open_service(live)?;
    let target = connected.cx.target_name();
    let forward = format!("todohost forward {} --target {target}", service.name);
    let Ok(target::Reach::Url(url)) = ask_target(connected, service.clone(), bus).await else {
        return Some(forward);
    };
    let name = &service.name;
    let before = answered_before.and_then(|answered| answered.get(&url).copied());
    let check = Endpoint { connected, live, service: &service, url: &url, before };
    let (level, message, address) = match check.follow().await {
        EndpointCheck::Here => return Some(url),
        EndpointCheck::Perhaps => {
            let message = format!(
                "{url} answers like Service/{name}, but the same app in another cluster would answer the same; this one is certain: {forward}"
            );
            (Level::Info, message, url)
        }
        EndpointCheck::Elsewhere(why) => {
            (Level::Warn, format!("{url} does not lead to this cluster: {why}"), forward)
        }
        EndpointCheck::Nowhere => (Level::Warn, format!("{url} does not answer"), forward),
    };
    note(bus, level, message);
    Some(address)
}

/// Finds out which addresses already answer although this cluster does not have them yet. Must run before the apply
/// step changes anything.
pub(crate) async fn look_before(
    connected: &Connected,
    rendered: &Rendered,
    bus: &Bus,
) -> Result<BTreeMap<String, bool>, RunError> {
    let namespace = &connected.cx.app().namespace;
    let wanted: Vec<target::Service> = rendered
        .documents
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
    let live = connected.cx.or_cancelled(connected.client.get_many(&names)).await?;
    let new = wanted.into_iter().zip(live).filter(|(service, live)| {
        let has = live.as_ref().and_then(open_service);
        has.is_none_or(|has| has.node_port != service.node_port)
    });
    let looks = new.map(|(service, _)| async {
        let Ok(target::Reach::Url(url)) = ask_target(connected, service, bus).await else {
            return None;
        };
        // A slow answer is not silence: leave it out.
        let asked = timeout(SILENCE, endpoint_match::ask_address(&url, ANSWER_WITHIN)).await;
        Some((url, asked.ok()?.is_some()))
    });
    Ok(join_all(looks).await.into_iter().flatten().collect())
}

async fn ask_target(
    connected: &Connected,
    service: target::Service,
    bus: &Bus,
) -> Result<target::Reach, RunError> {
    let mut target = connected.call_target(bus.clone(), Deadline::Short, "reach")?;
    Ok(target.reach_service(connected.target_options(), service).await?)
}

/// A Service and the address that is to be verified.
struct Endpoint<'a> {
    connected: &'a Connected,
    live: &'a Object,
    service: &'a target::Service,
    url: &'a str,
    /// Whether something answered before this cluster had the port, if that was looked at.
    before: Option<bool>,
}

impl Endpoint<'_> {
    /// Finds out where the address leads, after the routes of the cluster have settled.
    async fn follow(&self) -> EndpointCheck {
        let client = &self.connected.client;
        let until = Instant::now() + ROUTED_WITHIN;
        let pods = client.pods(&self.service.namespace);
        loop {
            let check = match endpoint_match::ask_address(self.url, ANSWER_WITHIN).await {
                Some(answer) => {
                    let (same, names) =
                        ask_pod(client, &pods, self.live, self.service, self.url).await;
                    self.judge(endpoint_match::compare(&answer, &same, &names)).await
                }
                None => self.forget(),
            };
            let is_settled = matches!(check, EndpointCheck::Here | EndpointCheck::Perhaps);
            let cancel = &self.connected.cx.cancel;
            if is_settled || Instant::now() >= until || cancel.is_cancelled() {
                return check;
            }
            sleep(PAUSE).await;
        }
    }

    async fn judge(&self, found: Match) -> EndpointCheck {
        let (cache, question) = (self.connected.cx.cache("address"), question(self.live, self.url));
        let cached = || cache.get::<Option<bool>>(&question).flatten();
        let is_ours = match found {
            Match::Other => {
                return EndpointCheck::Elsewhere("another program answers there");
            }
            Match::Ours => true,
            Match::Same => match self.before.map(|answered| !answered).or_else(cached) {
                Some(is_ours) => is_ours,
                None if is_of_a_node(&self.connected.client, self.url).await => true,
                None => return EndpointCheck::Perhaps,
            },
        };
        cache.put(&question, &Some(is_ours));
        if is_ours {
            return EndpointCheck::Here;
        }
        EndpointCheck::Elsewhere("something answered there before this cluster had the port")
    }

    /// Nothing answers, so the next answer has to be judged anew.
    fn forget(&self) -> EndpointCheck {
        let (cache, question) = (self.connected.cx.cache("address"), question(self.live, self.url));
        if cache.get::<Option<bool>>(&question) == Some(Some(false)) {
            cache.put(&question, &None::<bool>);
        }
        EndpointCheck::Nowhere
    }
}

/// Cache key of an address of this very Service.
fn question(live: &Object, url: &str) -> String {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    Hasher::new().part(uid).part(url).finish()
}

/// Two answers from a pod of the Service, and the names of its ready pods that no other pod can have.
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
            endpoint_match::ask(stream, url).await
        })
    });
    let answers = join_all(asked).await.into_iter().filter_map(|answer| answer.ok()?).collect();
    let unique = backends.into_iter().filter(|backend| backend.is_unique);
    (answers, unique.map(|backend| backend.pod).collect())
}

/// Whether the address is that of a node. An address of this machine is not: others may listen there.
async fn is_of_a_node(client: &Client, url: &str) -> bool {
    let Some((host, _)) = endpoint_match::place(url) else { return false };
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

/// A Service that is open to the outside of the cluster, with its first port.
pub(crate) fn open_service(object: &Object) -> Option<target::Service> {
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
