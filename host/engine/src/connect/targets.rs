//! Target discovery: asks every target for its state, all at the same time, and selects the best local one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::connection;
use crate::Run;
use crate::error::RunError;
use crate::plan::{Chosen, Planner, empty};
use todohost_cluster::{Client, Timeouts};
use todohost_runtime::capability::{CallEnvironment, NoSecrets};
use todohost_runtime::plugin::wit::target;
use todohost_runtime::plugin::{CallContext, EnvironmentSeed, PluginError, Role};

/// A target that takes longer than this to report its state counts as unavailable.
const DEADLINE: Duration = Duration::from_secs(10);
/// An API server on this machine answers within milliseconds, or something is wrong with it.
const PROMPT: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    request: Duration::from_secs(1),
    call: Duration::from_secs(1),
};

/// Whether the cluster of a target runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// There is no cluster.
    Absent,
    /// The cluster exists and does not run.
    Stopped,
    /// The cluster is on its way up.
    Starting,
    /// The cluster runs.
    Ready,
    /// The cluster runs, but something is wrong with it.
    Degraded,
    /// The plugin could not find out.
    Unavailable,
}

impl TargetState {
    /// The state as it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl From<target::State> for TargetState {
    fn from(state: target::State) -> Self {
        match state {
            target::State::Absent => Self::Absent,
            target::State::Stopped => Self::Stopped,
            target::State::Starting => Self::Starting,
            target::State::Ready => Self::Ready,
            target::State::Degraded => Self::Degraded,
        }
    }
}

/// A target and the state of its cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The name that `--target` takes.
    pub name: String,
    /// The plugin behind it.
    pub plugin: String,
    /// Whether its cluster runs.
    pub state: TargetState,
    /// One line.
    pub detail: String,
    /// The plugin recognises it as a cluster on this machine.
    pub local: bool,
    /// Version of Kubernetes, if known.
    pub kubernetes_version: Option<String>,
    /// How the product provides its cluster, in the product's own word, e.g. `kubeadm`.
    pub mode: Option<String>,
    /// The container runtime of the nodes.
    pub runtime: Option<String>,
    /// Names of the nodes, as far as the product knows them.
    pub nodes: Vec<String>,
    /// Resources that are too small for Kubernetes, or soon will be.
    pub warnings: Vec<String>,
    /// How the target would make the cluster ready, if the user agrees.
    pub offer: Option<String>,
    /// The route of images, if the target is local and ready.
    pub images_via: Option<&'static str>,
    /// The project file has an entry for it.
    pub named: bool,
}

/// The target that the host selects for `--target auto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The name that `--target` takes.
    pub target: String,
    /// Why this one.
    pub reason: String,
}

impl TargetStatus {
    /// The target may be selected without being named.
    pub fn is_ready_local(&self) -> bool {
        self.local && self.state == TargetState::Ready
    }

    /// Rank by the work left until the cluster runs, least first. `None` if the target cannot be selected.
    fn readiness(&self) -> Option<u8> {
        match (self.state, &self.offer) {
            (TargetState::Ready, _) => Some(0),
            (TargetState::Starting, _) => Some(1),
            (TargetState::Degraded | TargetState::Stopped, Some(_)) => Some(2),
            (TargetState::Degraded | TargetState::Stopped, None) => Some(3),
            (TargetState::Absent | TargetState::Unavailable, _) => None,
        }
    }

    /// A target whose state is not known.
    fn unknown(name: String, plugin: String, named: bool) -> Self {
        Self {
            name,
            plugin,
            state: TargetState::Unavailable,
            detail: String::new(),
            local: false,
            kubernetes_version: None,
            mode: None,
            runtime: None,
            nodes: Vec::new(),
            warnings: Vec::new(),
            offer: None,
            images_via: None,
            named,
        }
    }

    fn shares_images(&self) -> bool {
        self.images_via == Some(route_word(target::ImageRoute::SharedDaemon))
    }
}

/// The best local cluster: a running one before a stopped one, then one that the project names, then one that shares
/// its images with the builder.
pub fn select(targets: &[TargetStatus]) -> Option<Selection> {
    let mut local: Vec<&TargetStatus> =
        targets.iter().filter(|one| one.local && one.readiness().is_some()).collect();
    local.sort_by_key(|one| (one.readiness(), !one.named, !one.shares_images(), one.name.clone()));
    let (best, others) = local.split_first()?;
    let running: Vec<&TargetStatus> =
        others.iter().copied().filter(|one| one.is_ready_local()).collect();
    let reason = if !best.is_ready_local() {
        format!("no local cluster runs, and it is {}", best.state)
    } else if running.is_empty() {
        "the only local cluster that runs".to_owned()
    } else {
        let names: Vec<&str> = running.iter().map(|one| one.name.as_str()).collect();
        let because = if best.named && running.iter().all(|one| !one.named) {
            "the project names it"
        } else if best.shares_images() && running.iter().all(|one| !one.shares_images()) {
            "images need not be brought to it"
        } else {
            "the first by name"
        };
        format!("{because}; there run also {}", names.join(", "))
    };
    Some(Selection { target: best.name.clone(), reason })
}

/// All targets of the project and of the core plugins, sorted by name.
///
/// # Errors
/// If the project names a plugin that does not exist.
pub async fn list(run: &Run) -> Result<Vec<TargetStatus>, RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let mut targets: BTreeMap<String, Chosen> = BTreeMap::new();
    for info in run.registry.list() {
        if info.roles.contains(&Role::Target) {
            targets.insert(info.id.clone(), Chosen::new(info, empty()));
        }
    }
    for name in run.project.file.targets.keys() {
        targets.insert(name.clone(), planner.target(name)?);
    }
    let asked = targets.into_iter().map(|(name, chosen)| status(run, name, chosen));
    Ok(join_all(asked).await)
}

pub(super) async fn status(run: &Run, name: String, chosen: Chosen) -> TargetStatus {
    let named = run.project.file.targets.contains_key(&name);
    let unknown = TargetStatus::unknown(name, chosen.id.clone(), named);
    match look(run, &chosen).await {
        Ok(Detected { status, route, answer }) => {
            let found = TargetStatus {
                state: status.state.into(),
                detail: status.detail.unwrap_or_default(),
                local: status.local,
                kubernetes_version: status.kubernetes_version,
                mode: status.mode,
                runtime: status.runtime,
                nodes: status.nodes,
                warnings: status.warnings,
                offer: status.offer,
                images_via: route.map(route_word),
                ..unknown
            };
            match answer {
                None => found,
                Some(Ok(version)) => TargetStatus { kubernetes_version: Some(version), ..found },
                // The product reports no fault, but its API server does not answer.
                Some(Err(why)) => {
                    let detail = format!("{}, but {why}", found.detail);
                    TargetStatus { state: TargetState::Degraded, detail, ..found }
                }
            }
        }
        Err(error) => TargetStatus { detail: error.failure().message, ..unknown },
    }
}

/// The target's own report, and whether its cluster answers.
struct Detected {
    status: target::Status,
    route: Option<target::ImageRoute>,
    /// The API server's version, or why it did not answer. `None` for clusters that do not run or are not local.
    answer: Option<Result<String, RunError>>,
}

async fn look(run: &Run, chosen: &Chosen) -> Result<Detected, PluginError> {
    let options = chosen.options.to_string();
    let plugin = run.runtime.load(&chosen.info)?;
    let context = context(run, DEADLINE);
    let mut target = plugin.target(context.clone())?;
    let status = target.detect(options.clone()).await?;
    if !status.local || status.state != target::State::Ready {
        return Ok(Detected { status, route: None, answer: None });
    }
    // A target that cannot name its route ranks behind those that can.
    let route = target.images_via(options.clone()).await.ok();
    let version = async {
        let connection = connection(&plugin, &context, options).await?;
        let client = Client::connect(&connection, &run.environment.kubeconfig(), PROMPT).await?;
        Ok::<_, RunError>(client.version().git_version.clone())
    };
    Ok(Detected { status, route, answer: Some(version.await) })
}

/// The call context of a target before its cluster is connected.
pub(super) fn context(run: &Run, deadline: Duration) -> CallContext {
    CallContext {
        bus: run.bus.clone(),
        cancel: run.cancel.clone(),
        deadline,
        environment: Arc::new(CallEnvironment {
            project_root: run.project.root.clone(),
            chart: Some(run.project.file.app.chart.clone()),
            namespace: run.project.file.app.namespace.clone(),
            home: run.environment.home().map(ToOwned::to_owned),
            kubeconfig: run.environment.kubeconfig(),
            variables: run.environment.variables().clone(),
            cluster: None,
            relay: None,
            vault: Arc::new(NoSecrets),
            secret: None,
        }),
        seed: EnvironmentSeed { now: run.now, random: [0; 32] },
    }
}

const fn route_word(route: target::ImageRoute) -> &'static str {
    match route {
        target::ImageRoute::SharedDaemon => "shared-daemon",
        target::ImageRoute::SideLoad => "side-load",
        target::ImageRoute::Registry => "registry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, state: TargetState) -> TargetStatus {
        TargetStatus {
            state,
            local: true,
            images_via: Some("side-load"),
            ..TargetStatus::unknown(name.to_owned(), name.to_owned(), false)
        }
    }

    fn chosen(targets: &[TargetStatus]) -> (String, String) {
        let choice = select(targets).unwrap();
        (choice.target, choice.reason)
    }

    #[test]
    fn running_targets_rank_before_named_ones_and_those_before_shared_images() {
        let (one, two) = (found("one", TargetState::Ready), found("two", TargetState::Ready));
        let stopped =
            TargetStatus { offer: Some("start it".into()), ..found("a", TargetState::Stopped) };
        let (target, reason) = chosen(&[stopped.clone(), two.clone()]);
        assert_eq!((target.as_str(), reason.as_str()), ("two", "the only local cluster that runs"));
        let (target, reason) = chosen(&[two.clone(), one.clone(), stopped.clone()]);
        assert_eq!(
            (target.as_str(), reason.as_str()),
            ("one", "the first by name; there run also two")
        );
        let shared = TargetStatus { images_via: Some("shared-daemon"), ..two.clone() };
        let (target, reason) = chosen(&[one.clone(), shared.clone()]);
        assert_eq!(target, "two");
        assert!(reason.starts_with("images need not be brought to it"), "{reason}");
        let named = TargetStatus { named: true, ..found("zoo", TargetState::Ready) };
        let (target, reason) = chosen(&[one, shared, named]);
        assert_eq!((target.as_str(), reason.starts_with("the project names it")), ("zoo", true));
        let sick = found("b", TargetState::Degraded);
        let (target, reason) = chosen(&[sick, stopped]);
        assert_eq!(
            (target.as_str(), reason.as_str()),
            ("a", "no local cluster runs, and it is stopped")
        );
    }

    #[test]
    fn remote_and_absent_targets_are_never_selected() {
        let elsewhere = TargetStatus { local: false, ..found("lab", TargetState::Ready) };
        let offered = Some("create it".to_owned());
        let absent = TargetStatus { offer: offered, ..found("kind", TargetState::Absent) };
        assert_eq!(select(&[elsewhere, absent, found("sick", TargetState::Unavailable)]), None);
    }
}
