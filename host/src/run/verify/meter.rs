//! How much the containers that are waited for use, at their most, by their kubelet's own figures.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::cluster::{Client, ClusterError, Snapshot};
use crate::plugin::wit::verify;
use crate::run::session::lock;

/// Between two readings: often enough to see a container near its limit before it is killed.
const PAUSE: Duration = Duration::from_millis(1500);

/// A node that answers later is asked again with the next reading.
const WITHIN: Duration = Duration::from_secs(3);

/// Nodes that are asked.
const MOST_NODES: usize = 8;

/// The readings of one wait.
pub(super) struct Meter {
    client: Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    nodes: BTreeSet<String>,
    /// By pod and its uid: names come again.
    pods: BTreeSet<String>,
    peaks: BTreeMap<(String, String), verify::Usage>,
}

impl Meter {
    pub(super) fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default() }
    }

    /// Says which objects are of interest: their pods, and the nodes of these.
    pub(super) fn look_at<'a>(&self, snapshots: impl Iterator<Item = &'a Snapshot>) {
        let mut seen = lock(&self.seen);
        seen.nodes.clear();
        for pod in snapshots.flat_map(|one| one.related.iter().chain(&one.object)) {
            if pod["kind"] != "Pod" {
                continue;
            }
            if let Some(uid) = pod["metadata"]["uid"].as_str() {
                seen.pods.insert(uid.to_owned());
            }
            if let Some(node) = pod["spec"]["nodeName"].as_str()
                && seen.nodes.len() < MOST_NODES
            {
                seen.nodes.insert(node.to_owned());
            }
        }
    }

    /// The most that each container used so far.
    pub(super) fn peaks(&self) -> Vec<verify::Usage> {
        lock(&self.seen).peaks.values().cloned().collect()
    }

    /// Reads until it is dropped.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            sleep(PAUSE).await;
            let nodes = lock(&self.seen).nodes.clone();
            let asked = nodes.iter().map(|node| timeout(WITHIN, self.client.pod_usage(node)));
            for answer in join_all(asked).await.into_iter().flatten() {
                match answer {
                    Ok(figures) => self.note(figures),
                    // Who may not ask nodes is told less, and asks no more.
                    Err(ClusterError::Forbidden { .. }) => return std::future::pending().await,
                    Err(_) => {}
                }
            }
        }
    }

    fn note(&self, figures: Vec<crate::cluster::ContainerUsage>) {
        let mut seen = lock(&self.seen);
        for figure in figures {
            if !seen.pods.contains(&figure.pod_uid) {
                continue;
            }
            let key = (figure.pod.clone(), figure.container.clone());
            let peak = seen.peaks.entry(key).or_insert_with(|| verify::Usage {
                pod: figure.pod,
                container: figure.container,
                memory_bytes: 0,
                cpu_millis: 0,
            });
            peak.memory_bytes = peak.memory_bytes.max(figure.memory_bytes);
            peak.cpu_millis = peak.cpu_millis.max(figure.cpu_millis);
        }
    }
}
