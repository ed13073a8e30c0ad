//! Which clusters there are: every target is asked at the same time, within a second or so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::Run;
use super::error::RunError;
use crate::capability::{NoSecrets, World};
use crate::plan::{Chosen, Planner, empty};
use crate::plugin::wit::target;
use crate::plugin::{CallContext, EnvironmentSeed, Role};

/// A target that does not say how it is in this time is not available.
const DEADLINE: Duration = Duration::from_secs(10);

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
}

impl Candidate {
    /// It may be chosen without being named.
    pub fn is_ready_local(&self) -> bool {
        self.local && self.state == "ready"
    }
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

async fn ask(run: &Run, name: String, chosen: Chosen) -> Candidate {
    let app = &run.project.file.app;
    let context = CallContext {
        bus: run.bus.clone(),
        cancel: run.cancel.clone(),
        deadline: DEADLINE,
        world: Arc::new(World {
            project_root: run.project.root.clone(),
            chart: Some(app.chart.clone()),
            namespace: app.namespace.clone(),
            home: run.environment.home().map(ToOwned::to_owned),
            kubeconfig: run.environment.kubeconfig(),
            environment: run.environment.variables().clone(),
            cluster: None,
            vault: Arc::new(NoSecrets),
        }),
        environment: EnvironmentSeed { now: run.now, random: [0; 32] },
    };
    let detected = async {
        let mut target = run.runtime.load(&chosen.info)?.target(context)?;
        target.detect(chosen.options.to_string()).await
    };
    match detected.await {
        Ok(status) => Candidate {
            name,
            plugin: chosen.id,
            state: word(status.state).to_owned(),
            detail: status.detail.unwrap_or_default(),
            local: status.local,
            kubernetes_version: status.kubernetes_version,
        },
        Err(error) => Candidate {
            name,
            plugin: chosen.id,
            state: "unavailable".to_owned(),
            detail: error.failure().message,
            local: false,
            kubernetes_version: None,
        },
    }
}

const fn word(state: target::State) -> &'static str {
    match state {
        target::State::Absent => "absent",
        target::State::Stopped => "stopped",
        target::State::Starting => "starting",
        target::State::Ready => "ready",
        target::State::Degraded => "degraded",
    }
}
