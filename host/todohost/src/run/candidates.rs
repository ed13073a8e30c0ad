//! Which clusters there are, and which of the local ones is the best: every target is asked at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::Run;
use super::error::RunError;
use super::reach::connection;
use crate::plan::{Chosen, Planner, empty};
use todohost_cluster::{Client, Timeouts};
use todohost_runtime::capability::{NoSecrets, World};
use todohost_runtime::plugin::wit::target;
use todohost_runtime::plugin::{CallContext, EnvironmentSeed, PluginError, Role};

/// A target that does not say how it is in this time is not available.
const DEADLINE: Duration = Duration::from_secs(10);
/// An API server on this very machine answers in milliseconds, or something is wrong with it.
const PROMPT: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    request: Duration::from_secs(1),
    call: Duration::from_secs(1),
};

/// A target and how it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// What `--target` takes.
    pub name: String,
    /// The plugin behind it.
    pub plugin: String,
    /// E.g. `ready`, or `unavailable` where the plugin could not tell.
    pub state: String,
    /// One line.
    pub detail: String,
    /// The plugin recognises it as a cluster on this machine.
    pub local: bool,
    /// Its version, where it is known.
    pub kubernetes_version: Option<String>,
    /// What the product made it of, in its own word.
    pub mode: Option<String>,
    /// What runs the containers on its nodes.
    pub runtime: Option<String>,
    /// Names of its nodes, as far as the product knows them.
    pub nodes: Vec<String>,
    /// What is too small for Kubernetes, or will soon be.
    pub warnings: Vec<String>,
    /// What it would do about a state that is not ready, once the user agreed.
    pub offer: Option<String>,
    /// How images get there, of a local one that is ready.
    pub images_via: Option<&'static str>,
    /// The project file has an entry for it.
    pub named: bool,
}

/// The target that is taken where the user leaves it to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What `--target` takes.
    pub target: String,
    /// Why this one.
    pub reason: String,
}

impl Candidate {
    /// It may be chosen without being named.
    pub fn is_ready_local(&self) -> bool {
        self.local && self.state == "ready"
    }

    /// How little is to be done until it runs, the least first; `None` where it cannot be chosen.
    fn readiness(&self) -> Option<u8> {
        match (self.state.as_str(), &self.offer) {
            ("ready", _) => Some(0),
            ("starting", _) => Some(1),
            ("degraded" | "stopped", Some(_)) => Some(2),
            ("degraded" | "stopped", None) => Some(3),
            _ => None,
        }
    }

    /// A target of which nothing is known.
    fn unknown(name: String, plugin: String, named: bool) -> Self {
        Self {
            name,
            plugin,
            state: "unavailable".to_owned(),
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

/// The best of the local clusters: one that runs before one that has to be started, one that the project names before
/// others, one to which images need not be brought before those to which they must.
pub fn choose(candidates: &[Candidate]) -> Option<Choice> {
    let mut local: Vec<&Candidate> =
        candidates.iter().filter(|one| one.local && one.readiness().is_some()).collect();
    local.sort_by_key(|one| (one.readiness(), !one.named, !one.shares_images(), one.name.clone()));
    let (best, others) = local.split_first()?;
    let running: Vec<&Candidate> =
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
    Some(Choice { target: best.name.clone(), reason })
}

/// All targets of the project and of the core plugins, by name.
///
/// # Errors
/// Where the project names a plugin that there is not.
pub async fn candidates(run: &Run) -> Result<Vec<Candidate>, RunError> {
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
    let asked = targets.into_iter().map(|(name, chosen)| ask(run, name, chosen));
    Ok(join_all(asked).await)
}

pub(super) async fn ask(run: &Run, name: String, chosen: Chosen) -> Candidate {
    let named = run.project.file.targets.contains_key(&name);
    let unknown = Candidate::unknown(name, chosen.id.clone(), named);
    match look(run, &chosen).await {
        Ok(Seen { status, route, answer }) => {
            let candidate = Candidate {
                state: word(status.state).to_owned(),
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
                None => candidate,
                Some(Ok(version)) => Candidate { kubernetes_version: Some(version), ..candidate },
                // Its product sees nothing wrong, and yet nothing can be deployed there.
                Some(Err(why)) => {
                    let detail = format!("{}, but {why}", candidate.detail);
                    Candidate { state: "degraded".to_owned(), detail, ..candidate }
                }
            }
        }
        Err(error) => Candidate { detail: error.failure().message, ..unknown },
    }
}

/// What a target says, and whether its cluster answers.
struct Seen {
    status: target::Status,
    route: Option<target::ImageRoute>,
    /// The API server's version, or why there is none; only a cluster of this machine that runs is asked.
    answer: Option<Result<String, RunError>>,
}

async fn look(run: &Run, chosen: &Chosen) -> Result<Seen, PluginError> {
    let options = chosen.options.to_string();
    let plugin = run.runtime.load(&chosen.info)?;
    let context = context(run, DEADLINE);
    let mut target = plugin.target(context.clone())?;
    let status = target.detect(options.clone()).await?;
    if !status.local || status.state != target::State::Ready {
        return Ok(Seen { status, route: None, answer: None });
    }
    // One that cannot say it is ranked behind those that can.
    let route = target.images_via(options.clone()).await.ok();
    let version = async {
        let connection = connection(&plugin, &context, options).await?;
        let client = Client::connect(&connection, &run.environment.kubeconfig(), PROMPT).await?;
        Ok::<_, RunError>(client.version().git_version.clone())
    };
    Ok(Seen { status, route, answer: Some(version.await) })
}

/// What a target is called with before its cluster is reached.
pub(super) fn context(run: &Run, deadline: Duration) -> CallContext {
    CallContext {
        bus: run.bus.clone(),
        cancel: run.cancel.clone(),
        deadline,
        world: Arc::new(World {
            project_root: run.project.root.clone(),
            chart: Some(run.project.file.app.chart.clone()),
            namespace: run.project.file.app.namespace.clone(),
            home: run.environment.home().map(ToOwned::to_owned),
            kubeconfig: run.environment.kubeconfig(),
            environment: run.environment.variables().clone(),
            cluster: None,
            relay: None,
            vault: Arc::new(NoSecrets),
            secret: None,
        }),
        environment: EnvironmentSeed { now: run.now, random: [0; 32] },
    }
}

pub(super) const fn word(state: target::State) -> &'static str {
    match state {
        target::State::Absent => "absent",
        target::State::Stopped => "stopped",
        target::State::Starting => "starting",
        target::State::Ready => "ready",
        target::State::Degraded => "degraded",
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

    fn candidate(name: &str, state: &str) -> Candidate {
        Candidate {
            state: state.to_owned(),
            local: true,
            images_via: Some("side-load"),
            ..Candidate::unknown(name.to_owned(), name.to_owned(), false)
        }
    }

    fn chosen(candidates: &[Candidate]) -> (String, String) {
        let choice = choose(candidates).unwrap();
        (choice.target, choice.reason)
    }

    #[test]
    fn what_runs_comes_first_then_what_the_project_names_then_what_needs_no_images() {
        let (one, two) = (candidate("one", "ready"), candidate("two", "ready"));
        let stopped = Candidate { offer: Some("start it".into()), ..candidate("a", "stopped") };
        let (target, reason) = chosen(&[stopped.clone(), two.clone()]);
        assert_eq!((target.as_str(), reason.as_str()), ("two", "the only local cluster that runs"));
        let (target, reason) = chosen(&[two.clone(), one.clone(), stopped.clone()]);
        assert_eq!(
            (target.as_str(), reason.as_str()),
            ("one", "the first by name; there run also two")
        );
        let shared = Candidate { images_via: Some("shared-daemon"), ..two.clone() };
        let (target, reason) = chosen(&[one.clone(), shared.clone()]);
        assert_eq!(target, "two");
        assert!(reason.starts_with("images need not be brought to it"), "{reason}");
        let named = Candidate { named: true, ..candidate("zoo", "ready") };
        let (target, reason) = chosen(&[one, shared, named]);
        assert_eq!((target.as_str(), reason.starts_with("the project names it")), ("zoo", true));
        let sick = candidate("b", "degraded");
        let (target, reason) = chosen(&[sick, stopped]);
        assert_eq!(
            (target.as_str(), reason.as_str()),
            ("a", "no local cluster runs, and it is stopped")
        );
    }

    #[test]
    fn what_is_elsewhere_or_not_there_is_never_chosen() {
        let elsewhere = Candidate { local: false, ..candidate("lab", "ready") };
        let offered = Some("create it".to_owned());
        let absent = Candidate { offer: offered, ..candidate("kind", "absent") };
        assert_eq!(choose(&[elsewhere, absent, candidate("sick", "unavailable")]), None);
    }
}
