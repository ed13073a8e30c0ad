//! The one typed stream of everything that a run does or finds out (invariant I6).
//!
//! Owns the event types and the bus. It does not decide how an event looks: terminal, plain text and
//! JSON lines are renderers in `ui`. Text inside events is redacted before it gets here
//! by the vault and escaped where it is shown.

mod difference;
mod failure;
mod finding;

use std::time::Instant;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::object::{ObjectChange, ObjectRef};

pub use difference::{Difference, ObjectDifference};
pub use failure::Failure;
pub use finding::{Finding, FindingOutcome, Row};

/// Something that happened, when, and for which target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// The target of the deploy that it belongs to; absent for what belongs to the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The step of the plan that it belongs to, e.g. `build:todo-backend`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// The JSON Schema of an event as `--output json` prints it.
    pub fn json_schema() -> serde_json::Value {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }
}

/// What can happen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run began; `command` is the subcommand.
    RunStarted {
        /// Subcommand, e.g. `deploy`.
        command: String,
    },
    /// A step began.
    StepStarted {
        /// For people, e.g. `build todo-backend`.
        title: String,
    },
    /// A live line of a step: `message` replaces the last one with the same `id`.
    StepProgress {
        /// Identifies the line within the step.
        id: u64,
        /// What is going on now.
        message: String,
        /// How much is done, in units of `total`.
        done: u64,
        /// How much there is to do, where known.
        total: Option<u64>,
        /// The line is over and goes away.
        closed: bool,
    },
    /// A line that a hook or a test of the chart printed.
    StepOutput {
        /// The line, without its end.
        line: String,
    },
    /// A step ended.
    StepFinished {
        /// How it ended.
        outcome: StepOutcome,
        /// One line for people: why skipped, what was made, what went wrong.
        detail: String,
        /// Milliseconds that it took.
        elapsed_ms: u64,
    },
    /// A component wrote to its log.
    PluginLog {
        /// Plugin id.
        plugin: String,
        /// `trace`, `debug`, `info`, `warn` or `error`.
        level: String,
        /// The text.
        message: String,
    },
    /// A component was called.
    PluginCall {
        /// Plugin id.
        plugin: String,
        /// Plugin version.
        version: String,
        /// E.g. `target.detect`.
        export: String,
        /// Milliseconds that it took.
        elapsed_ms: u64,
        /// Milliseconds that it had.
        limit_ms: u64,
        /// Whether it gave an answer rather than an error or a trap.
        ok: bool,
    },
    /// A component called the host.
    HostCall {
        /// Plugin id.
        plugin: String,
        /// E.g. `process.run`.
        function: String,
        /// The arguments in one line, redacted.
        detail: String,
        /// Whether the call was granted.
        granted: bool,
        /// Milliseconds that it took.
        elapsed_ms: u64,
    },
    /// A check judged; its findings follow. A row that none of them names was not judged.
    Judged {
        /// The check, as its findings name it.
        source: String,
        /// For people.
        title: String,
        /// What its findings are about, in the order of its table; a check without rows that finds nothing passed.
        rows: Vec<Row>,
    },
    /// A check or the verifier judged something.
    Finding(Finding),
    /// An image is on the nodes that lacked it.
    ImageDelivered {
        /// Its name there.
        reference: String,
        /// No node lacked it.
        already_there: bool,
        /// How much that took, to all nodes together; what several images share is told with one of them.
        bytes_sent: u64,
    },
    /// An object in the cluster was handled.
    ObjectChanged {
        /// Which.
        object: ObjectRef,
        /// What became of it.
        change: ObjectChange,
        /// Why, where that is not plain.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An object is being waited for, and something about that changed.
    ObjectWaiting {
        /// Which.
        object: ObjectRef,
        /// How it is.
        state: Readiness,
        /// Why, in one word, e.g. `Unschedulable`.
        reason: String,
        /// What it waits for, in one line.
        message: String,
        /// Of an object that has replicas.
        #[serde(skip_serializing_if = "Option::is_none")]
        replicas: Option<Replicas>,
        /// Since when state and reason are these, in milliseconds since the run began.
        since_ms: u64,
    },
    /// What an object that is waited for uses.
    ObjectUses(Usage),
    /// What a deploy would change.
    Difference(Difference),
    /// A hook of the chart runs, or ended.
    Hook {
        /// What it made.
        object: ObjectRef,
        /// When it runs, e.g. `pre-upgrade`.
        moment: String,
        /// How far it is.
        phase: HookPhase,
        /// Milliseconds since it began.
        elapsed_ms: u64,
    },
    /// A remark for the user, not an error.
    Note {
        /// `info` or `warn`.
        level: String,
        /// One line.
        message: String,
    },
    /// The run ended; the last event of a run.
    RunFinished {
        /// Exit code of the process.
        exit_code: u8,
        /// One line.
        summary: String,
        /// Revision that is now deployed, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u32>,
        /// Where the app's services answer.
        addresses: Vec<String>,
        /// How it ended on each target, in the order in which they were named.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetEnd>,
        /// The error, its code, causes and help, where it failed; of several targets the first one's that did.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
}

/// How a run ended on one of its targets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetEnd {
    /// Which.
    pub target: String,
    /// `done`, `unchanged`, `failed` or `cancelled`.
    pub outcome: StepOutcome,
    /// Revision that is now in force there, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Where the app's services answer.
    pub addresses: Vec<String>,
    /// The error, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It did its work.
    Done,
    /// Nothing had to be done (invariant I7).
    Unchanged,
    /// It was not reached.
    Skipped,
    /// It failed.
    Failed,
    /// The user stopped it.
    Cancelled,
}

/// How an object that is waited for is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It goes its way.
    Waiting,
    /// Something is wrong; it may pass.
    Failing,
    /// Something is wrong that will not pass.
    Failed,
    /// It is as it should be.
    Ready,
}

/// How many replicas an object has, and should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replicas {
    /// Ready ones.
    pub ready: u32,
    /// Ones of the newest state.
    pub updated: u32,
    /// As many as there should be.
    pub desired: u32,
}

/// How far a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookPhase {
    /// It is being waited for.
    Running,
    /// It completed.
    Succeeded,
    /// It did not.
    Failed,
}

/// What the containers of an object use, by their kubelet's figures: the one that needs most memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// Which object.
    pub object: ObjectRef,
    /// Which of its containers.
    pub container: String,
    /// Its working set.
    pub memory_bytes: u64,
    /// How much it may have, as the object says, e.g. `256Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// How much it may have, as the object says, e.g. `500m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<String>,
}

/// Where events are put. Cheap to clone; a clone may be bound to a target and a step.
#[derive(Clone, Debug)]
pub struct Bus {
    began: Instant,
    sender: mpsc::UnboundedSender<Event>,
    target: Option<String>,
    step: Option<String>,
}

impl Bus {
    /// A bus and the end that a renderer reads.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { began: Instant::now(), sender, target: None, step: None }, receiver)
    }

    /// The same bus for what belongs to `target`.
    #[must_use]
    pub fn for_target(&self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self.clone() }
    }

    /// The same bus for what belongs to `step`.
    #[must_use]
    pub fn for_step(&self, step: &str) -> Self {
        Self { step: Some(step.to_owned()), ..self.clone() }
    }

    /// Milliseconds since the run began.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Puts an event on the bus. Once the renderer is gone, events fall silent.
    pub fn send(&self, kind: EventKind) {
        let at_ms = self.elapsed_ms();
        let event = Event { at_ms, target: self.target.clone(), step: self.step.clone(), kind };
        // A closed channel means that the run is over and nobody is left to tell.
        let _ = self.sender.send(event);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_published_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.schema.json");
        let published: serde_json::Value =
            serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
        assert!(
            published == Event::json_schema(),
            "docs/events.schema.json is not current: `todohost schema events > docs/events.schema.json`"
        );
    }
}
