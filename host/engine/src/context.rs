//! Everything that the steps of one target's run may use. Nothing in it changes while the run lasts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Run;
use super::connected::Connected;
use super::error::RunError;
use super::report::Findings;
use crate::plan::{Chosen, Goal, Plan, Planner, Step, TargetPlan};
use todohost_model::digest::Hasher;
use todohost_model::event::{Bus, EventKind, Finding, FindingOutcome, Level};
use todohost_project::App;
use todohost_project::cache::Cache;
use todohost_runtime::capability::CallEnvironment;
use todohost_runtime::plugin::{CallContext, EnvironmentSeed, Plugin};
use todohost_secrets::{Salt, SecretValue, Vault};

/// Time that one call of a component has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    /// One minute: the call computes, or asks a tool a question.
    Short,
    /// Thirty minutes: the call starts or moves something big.
    Long,
    /// The time that the component named for the call.
    Requested(Duration),
}

impl Deadline {
    const fn duration(self) -> Duration {
        match self {
            Self::Short => Duration::from_mins(1),
            Self::Long => Duration::from_mins(30),
            Self::Requested(time) => time,
        }
    }

    /// The time that a component requests, held between one second and ten minutes.
    pub fn requested(milliseconds: u32) -> Self {
        let time = Duration::from_millis(milliseconds.into());
        Self::Requested(time.clamp(Duration::from_secs(1), Duration::from_mins(10)))
    }
}

/// One target's run: its inputs, its bus and its cancellation.
pub(super) struct Context {
    pub run: Arc<Run>,
    pub goal: Goal,
    /// `None` for a run that touches no cluster.
    pub target: Option<String>,
    pub bus: Bus,
    pub cancel: CancellationToken,
    /// Holds the user's secrets until the release's own salt is known.
    pub vault: Arc<Vault>,
    /// The findings of checks and diagnoses so far.
    pub findings: Findings,
}

impl Context {
    pub fn new(run: &Arc<Run>, plan: &Plan, target: &TargetPlan, bus: Bus) -> Self {
        // Without a cluster there is no stored salt. A fixed one makes equal runs give equal bytes.
        let vault = Vault::new(Salt::from_bytes([0; 32]));
        for (path, value) in &run.values.secrets {
            vault.insert(&path.to_string(), value.clone());
        }
        if matches!(plan.goal, Goal::Render | Goal::Doctor) {
            // These goals change nothing, so a required secret that is missing gets a stand-in.
            for (path, secret) in &run.project.file.secrets {
                if secret.required && vault.value(path).is_none() {
                    vault.insert(path, SecretValue::new("not given".to_owned()));
                }
            }
        }
        Self {
            run: Arc::clone(run),
            goal: plan.goal,
            target: target.target.clone(),
            bus,
            cancel: run.cancel.child_token(),
            vault: Arc::new(vault),
            findings: Findings::default(),
        }
    }

    /// Compiles every component of the plan in the background, so that compilation overlaps with the first steps.
    pub fn warm(&self, steps: &[Step]) {
        for chosen in steps.iter().filter_map(|step| step.plugin.as_ref()) {
            // The step that needs the component reports a missing grant.
            let Ok(plugin) = self.run.runtime.load(&chosen.info) else { continue };
            let bus = self.bus.clone();
            tokio::spawn(async move {
                // The step that needs the component reports a failed compilation.
                let _ = plugin.warm(&bus).await;
            });
        }
    }

    /// The component, checked against its grants.
    pub fn plugin(&self, chosen: &Chosen) -> Result<Arc<Plugin>, RunError> {
        Ok(self.run.runtime.load(&chosen.info)?)
    }

    pub fn planner(&self) -> Planner<'_> {
        Planner { project: &self.run.project, registry: &self.run.registry }
    }

    /// The app as the project file describes it.
    pub fn app(&self) -> &App {
        &self.run.project.file.app
    }

    /// The target's name; empty for a run that touches no cluster.
    pub fn target_name(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    pub fn cache(&self, step: &str) -> Cache {
        Cache::new(&self.run.environment.cache_dir(), step)
    }

    /// Waits for `work`, unless the user stops the run. The pending request is dropped then.
    pub async fn or_cancelled<T, E: Into<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RunError::cancelled()),
            result = work => result.map_err(Into::into),
        }
    }

    /// The context before, or without, a connection.
    pub fn offline(&self) -> Access<'_> {
        Access { cx: self, connected: None }
    }
}

/// A context together with the cluster, if the run has one: the part of a run that a component call needs.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub cx: &'a Context,
    pub connected: Option<&'a Connected>,
}

impl Access<'_> {
    /// The vault of the release, or the context's own before it is known.
    pub fn vault(&self) -> &Arc<Vault> {
        self.connected.map_or(&self.cx.vault, |connected| &connected.vault)
    }

    /// All that a call needs. `inputs` seeds the random numbers of the component.
    pub fn call(&self, bus: Bus, deadline: Deadline, inputs: &str) -> CallContext {
        let salt = self.connected.map_or([0; 32], |connected| *connected.salt.as_bytes());
        let seed = Hasher::new().part("seed").part(salt).part(inputs).finish();
        let mut random = [0; 32];
        random.copy_from_slice(&seed.as_bytes()[..32]);
        CallContext {
            bus,
            cancel: self.cx.cancel.clone(),
            deadline: deadline.duration(),
            environment: Arc::new(self.call_environment()),
            seed: EnvironmentSeed { now: self.cx.run.now, random },
        }
    }

    fn call_environment(&self) -> CallEnvironment {
        let run = &self.cx.run;
        CallEnvironment {
            project_root: run.project.root.clone(),
            chart: Some(self.cx.app().chart.clone()),
            namespace: self.cx.app().namespace.clone(),
            home: run.environment.home().map(ToOwned::to_owned),
            kubeconfig: run.environment.kubeconfig(),
            variables: run.environment.variables().clone(),
            cluster: self.connected.map(|connected| connected.client.clone()),
            relay: None,
            vault: Arc::clone(self.vault()) as _,
            secret: None,
        }
    }

    /// Sends findings, redacted, and keeps them for the summary. Returns those that failed.
    pub fn report_findings(&self, bus: &Bus, findings: Vec<Finding>) -> Vec<Finding> {
        let vault = self.vault();
        let mut failed = Vec::new();
        for mut finding in findings {
            finding.message = vault.redact(&finding.message);
            finding.evidence.iter_mut().for_each(|line| *line = vault.redact(line));
            finding.help = finding.help.map(|help| vault.redact(&help));
            self.cx.findings.add(&finding);
            if finding.outcome == FindingOutcome::Failed {
                failed.push(finding.clone());
            }
            bus.send(EventKind::Finding(finding));
        }
        failed
    }
}

/// Sends a line for the user.
pub(super) fn note(bus: &Bus, level: Level, message: impl Into<String>) {
    bus.send(EventKind::Note { level, message: message.into() });
}

/// Locks a collection. A panic elsewhere cannot leave these half-changed in a way that matters.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
