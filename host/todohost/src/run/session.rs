//! One target's run: what its steps hand to each other, and what they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Run;
use super::error::RunError;
use super::evidence::Evidence;
use super::render::Remembered;
use crate::plan::{Chosen, Goal, Plan, Step, TargetPlan};
use todohost_cluster::Client;
use todohost_model::digest::Hasher;
use todohost_model::event::{Bus, Difference, EventKind, Finding, FindingOutcome};
use todohost_project::memo::Memo;
use todohost_release::{
    Document, Done, Held, HookRecord, Lease, Prospect, Record, Store, Transaction,
};
use todohost_runtime::capability::World;
use todohost_runtime::plugin::{CallContext, EnvironmentSeed, Plugin};
use todohost_secrets::{Salt, SecretValue, Vault};

/// Time that one call of a component has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    /// It computes, or asks a tool a question.
    Short,
    /// It starts or moves something big.
    Long,
    /// It said itself how long it may take.
    Asked(Duration),
}

impl Deadline {
    const fn duration(self) -> Duration {
        match self {
            Self::Short => Duration::from_mins(1),
            Self::Long => Duration::from_mins(30),
            Self::Asked(time) => time,
        }
    }

    /// The time that a component asked for, within reason.
    pub fn asked(milliseconds: u32) -> Self {
        let time = Duration::from_millis(milliseconds.into());
        Self::Asked(time.clamp(Duration::from_secs(1), Duration::from_mins(10)))
    }
}

/// The cluster, and what it knows of the release.
pub(super) struct Reached {
    pub target: Chosen,
    pub client: Client,
    pub store: Store,
    pub lease: Lease,
    /// The newest revision, in whatever state.
    pub latest: Option<Record>,
    /// The revision in force.
    pub deployed: Option<Record>,
    /// Newer ones that a killed run had begun, or had begun to take away.
    pub interrupted: Vec<Record>,
    pub salt: Salt,
    pub vault: Arc<Vault>,
}

/// An image as this run knows it.
#[derive(Clone, Debug)]
pub(super) struct ImageState {
    pub name: String,
    pub tag: String,
    pub reference: String,
    /// What the builder or an earlier build said; empty fields where nobody knows.
    pub image: todohost_runtime::plugin::wit::Image,
    /// The target was asked and has it.
    pub present: bool,
}

/// What the renderer made, with placeholders for secrets.
pub(super) struct Rendered {
    /// Definitions of kinds that the objects need and the release does not own.
    pub definitions: Vec<Document>,
    pub documents: Vec<Document>,
    pub hooks: Vec<HookRecord>,
    pub notes: String,
    pub chart: serde_json::Value,
    pub config: serde_json::Value,
    /// The same with placeholders in the hooks, too: what may be kept outside of the cluster. Not of an older revision.
    pub remembered: Option<Remembered>,
    pub renderer: String,
    pub inputs: String,
    /// The older revision that it was taken from, where nothing was rendered.
    pub goes_back_to: Option<u32>,
}

/// A revision under way.
pub(super) struct Pending {
    pub transaction: Transaction,
    /// When its record was begun.
    pub begun: Timestamp,
    /// `None` before it was created, and where nobody knows whether it was.
    pub record: Option<Record>,
    /// Nobody knows whether the record was created: the answer did not come.
    pub is_doubted: bool,
    pub done: Done,
    /// What it was going to change.
    pub prospect: Prospect,
    pub previous: Vec<Document>,
    pub is_upgrade: bool,
    /// Hooks that completed before the last deploy was interrupted.
    pub through: BTreeSet<usize>,
}

impl Pending {
    /// Something may have been changed.
    pub fn has_begun(&self) -> bool {
        self.record.is_some() || self.is_doubted || self.done.created_namespace
    }
}

/// One target's run.
pub(super) struct Session {
    pub run: Arc<Run>,
    pub goal: Goal,
    pub target: Option<String>,
    pub bus: Bus,
    pub cancel: CancellationToken,
    /// Keeps secrets from being shown before the release's own salt is known.
    front: Arc<Vault>,
    pub reached: OnceLock<Reached>,
    /// Cancelled once nothing is done any more to reach the cluster.
    pub reach_is_over: CancellationToken,
    /// The target was not running, and is now.
    pub was_started: AtomicBool,
    pub images: Mutex<BTreeMap<String, ImageState>>,
    pub rendered: OnceLock<Rendered>,
    /// The objects as they are in the cluster's terms, once applied.
    pub objects: OnceLock<Vec<todohost_model::object::Object>>,
    pub pending: Mutex<Option<Pending>>,
    /// What a deploy would change, where that was asked for.
    pub difference: OnceLock<Difference>,
    pub addresses: Mutex<Vec<String>>,
    /// Addresses that this run makes, and whether something answered there before.
    pub answered_before: Mutex<BTreeMap<String, bool>>,
    /// Held while the release is changed.
    pub held: Mutex<Option<Held>>,
    /// What was found to be wrong.
    pub findings: Mutex<Vec<Finding>>,
    /// How much deserves a look.
    pub warnings: AtomicUsize,
    /// Why the cluster is not reached, where that ends the run only after everything else was judged.
    pub unreached: Mutex<Option<RunError>>,
    /// What the target is doing about a cluster that does not run, as long as it does it.
    pub being_started: Mutex<Option<String>>,
    /// What failed and is no longer in the cluster.
    pub evidence: Mutex<Evidence>,
}

impl Session {
    pub fn new(run: &Arc<Run>, plan: &Plan, target: &TargetPlan, bus: Bus) -> Self {
        // Without a cluster nobody keeps a salt: a fixed one makes equal runs give equal bytes.
        let front = Arc::new(Vault::new(Salt::from_bytes([0; 32])));
        for (path, value) in &run.values.secrets {
            front.insert(&path.to_string(), value.clone());
        }
        if matches!(plan.goal, Goal::Render | Goal::Doctor) {
            // For reading, every secret is as good as any other.
            for (path, secret) in &run.project.file.secrets {
                if secret.required && front.value(path).is_none() {
                    front.insert(path, SecretValue::new("not given".to_owned()));
                }
            }
        }
        Self {
            run: Arc::clone(run),
            goal: plan.goal,
            target: target.target.clone(),
            bus,
            cancel: run.cancel.child_token(),
            front,
            reached: OnceLock::new(),
            reach_is_over: CancellationToken::new(),
            was_started: AtomicBool::default(),
            images: Mutex::default(),
            rendered: OnceLock::new(),
            objects: OnceLock::new(),
            pending: Mutex::default(),
            difference: OnceLock::new(),
            addresses: Mutex::default(),
            answered_before: Mutex::default(),
            held: Mutex::default(),
            findings: Mutex::default(),
            warnings: AtomicUsize::default(),
            unreached: Mutex::default(),
            being_started: Mutex::default(),
            evidence: Mutex::default(),
        }
    }

    /// Compiles every component of the plan in the background, so that no step waits for one alone.
    pub fn warm(&self, steps: &[Step]) {
        for chosen in steps.iter().filter_map(|step| step.plugin.as_ref()) {
            // A grant that is missing is told when the step needs it.
            let Ok(plugin) = self.run.runtime.load(&chosen.info) else { continue };
            let bus = self.bus.clone();
            tokio::spawn(async move {
                // What goes wrong is told by the step that needs the component.
                let _ = plugin.warm(&bus).await;
            });
        }
    }

    pub fn plugin(&self, chosen: &Chosen) -> Result<Arc<Plugin>, RunError> {
        Ok(self.run.runtime.load(&chosen.info)?)
    }

    pub fn vault(&self) -> Arc<Vault> {
        self.reached.get().map_or_else(|| Arc::clone(&self.front), |it| Arc::clone(&it.vault))
    }

    pub fn reached(&self) -> Result<&Reached, RunError> {
        self.reached.get().ok_or_else(|| RunError::internal("the target was not reached yet"))
    }

    pub fn rendered(&self) -> Result<&Rendered, RunError> {
        self.rendered.get().ok_or_else(|| RunError::internal("nothing was rendered yet"))
    }

    /// All that a call needs; `inputs` is what its random stream depends on.
    pub fn context(&self, bus: Bus, deadline: Deadline, inputs: &str) -> CallContext {
        let salt = self.reached.get().map_or([0; 32], |reached| *reached.salt.as_bytes());
        let seed = Hasher::new().part("seed").part(salt).part(inputs).finish();
        let mut random = [0; 32];
        random.copy_from_slice(&seed.as_bytes()[..32]);
        CallContext {
            bus,
            cancel: self.cancel.clone(),
            deadline: deadline.duration(),
            world: Arc::new(self.world()),
            environment: EnvironmentSeed { now: self.run.now, random },
        }
    }

    fn world(&self) -> World {
        World {
            project_root: self.run.project.root.clone(),
            chart: Some(self.run.project.file.app.chart.clone()),
            namespace: self.run.project.file.app.namespace.clone(),
            home: self.run.environment.home().map(ToOwned::to_owned),
            kubeconfig: self.run.environment.kubeconfig(),
            environment: self.run.environment.variables().clone(),
            cluster: self.reached.get().map(|reached| reached.client.clone()),
            relay: None,
            vault: self.vault(),
            secret: None,
        }
    }

    pub fn memo(&self, step: &str) -> Memo {
        Memo::new(&self.run.environment.cache_dir(), step)
    }

    pub fn images(&self) -> Vec<ImageState> {
        lock(&self.images).values().cloned().collect()
    }

    pub fn note(&self, bus: &Bus, level: &str, message: impl Into<String>) {
        bus.send(EventKind::Note { level: level.to_owned(), message: message.into() });
    }

    /// Puts findings on the bus, redacted; the failed ones come back.
    pub fn tell_findings(&self, bus: &Bus, findings: Vec<Finding>) -> Vec<Finding> {
        let vault = self.vault();
        let mut failed = Vec::new();
        for mut finding in findings {
            finding.message = vault.redact(&finding.message);
            finding.evidence.iter_mut().for_each(|line| *line = vault.redact(line));
            finding.help = finding.help.map(|help| vault.redact(&help));
            if finding.outcome == FindingOutcome::Warning {
                self.warnings.fetch_add(1, Ordering::Relaxed);
            }
            if finding.outcome == FindingOutcome::Failed {
                lock(&self.findings).push(finding.clone());
                failed.push(finding.clone());
            }
            bus.send(EventKind::Finding(finding));
        }
        failed
    }
}

/// A panic elsewhere cannot leave these collections half-changed in a way that matters.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
