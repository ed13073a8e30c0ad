//! The typed stream of a run's actions and findings (invariant I6).
//!
//! Owns the event types and the bus. The renderers in `ui` format events as a live display, as plain text or as JSON
//! lines. The vault redacts text before it becomes part of an event; the renderers escape it.
//!
//! `docs/events.schema.json` is generated from these types, and `docs/reference/events.md` from the schema.

mod difference;
mod failure;
mod finding;

use std::fmt;
use std::time::Instant;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::object::{ObjectChange, ObjectRef};

pub use difference::{Difference, ObjectDifference};
pub use failure::Failure;
pub use finding::{Finding, FindingOutcome, Row};

/// An event of a run, with its time, target and step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// The target to which the event belongs; absent if it belongs to the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The step of the plan to which the event belongs, e.g. `build:todo-backend`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The event's name and its own fields.
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

/// The kinds of events.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run began: the first event.
    RunStarted {
        /// Subcommand, e.g. `deploy`.
        command: String,
    },
    /// A step began.
    StepStarted {
        /// Title for people, e.g. `build todo-backend`.
        title: String,
    },
    /// A live line of a step changed: this replaces the last line with the same `id`.
    StepProgress {
        /// Identifies the line within the step.
        id: u64,
        /// The current activity.
        message: String,
        /// Completed work, in units of `total`.
        done: u64,
        /// Total work, if known.
        total: Option<u64>,
        /// Whether the line ends and disappears.
        closed: bool,
    },
    /// A line that a hook or a test of the chart printed.
    StepOutput {
        /// The line, without its end.
        line: String,
    },
    /// A step ended.
    StepFinished {
        /// The result.
        outcome: StepOutcome,
        /// One line for people: the result, the reason why it was skipped, or the error.
        detail: String,
        /// Milliseconds that the step took.
        elapsed_ms: u64,
    },
    /// A component wrote to its log.
    PluginLog {
        /// Plugin id.
        plugin: String,
        /// The level that the component chose.
        level: Level,
        /// The text.
        message: String,
    },
    /// A component was called.
    PluginCall {
        /// Plugin id.
        plugin: String,
        /// Plugin version.
        version: String,
        /// The called function, e.g. `target.detect`.
        export: String,
        /// Milliseconds that the call took.
        elapsed_ms: u64,
        /// Milliseconds that the call was allowed to take.
        limit_ms: u64,
        /// Whether the call returned a value, not an error or a trap.
        ok: bool,
    },
    /// A component called the host.
    HostCall {
        /// Plugin id.
        plugin: String,
        /// The called function, e.g. `process.run`.
        function: String,
        /// The arguments in one line, redacted.
        detail: String,
        /// Whether the call was granted.
        granted: bool,
        /// Milliseconds that the call took.
        elapsed_ms: u64,
    },
    /// A check judged; its findings follow. A row without a finding was not judged.
    Judged {
        /// The check: the `source` of its findings.
        source: String,
        /// Title for people.
        title: String,
        /// The rows of the check's table, in order. A check without rows passes if it has no findings.
        rows: Vec<Row>,
    },
    /// A check or the verifier judged something.
    Finding(Finding),
    /// An image was brought to the nodes that lacked it.
    ImageDelivered {
        /// The image's name on the nodes.
        reference: String,
        /// Whether all nodes had the image already.
        already_there: bool,
        /// Bytes sent to all nodes together. Layers shared by several images count for one of them.
        bytes_sent: u64,
    },
    /// An object in the cluster was handled.
    ObjectChanged {
        /// The changed object.
        object: ObjectRef,
        /// The kind of change.
        change: ObjectChange,
        /// The reason, if it is not obvious.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The state of an object that the run waits for changed.
    ObjectWaiting {
        /// The waiting object.
        object: ObjectRef,
        /// Its readiness.
        state: Readiness,
        /// The reason in one word, e.g. `Unschedulable`.
        reason: String,
        /// The condition that the object waits for, in one line.
        message: String,
        /// The numbers of replicas, if the object has replicas.
        #[serde(skip_serializing_if = "Option::is_none")]
        replicas: Option<Replicas>,
        /// Time of the last change of state or reason, in milliseconds since the run began.
        since_ms: u64,
    },
    /// The resource usage of an object that the run waits for.
    ObjectUses(Usage),
    /// The changes that a deploy would make.
    Difference(Difference),
    /// A hook of the chart started or ended.
    Hook {
        /// The hook's object.
        object: ObjectRef,
        /// The point in the deploy at which the hook runs, e.g. `pre-upgrade`.
        moment: String,
        /// The hook's state.
        phase: HookPhase,
        /// Milliseconds since the hook began.
        elapsed_ms: u64,
    },
    /// A remark for the user, not an error.
    Note {
        /// `info` or `warn`; `debug` for a remark that only verbose output shows.
        level: Level,
        /// One line.
        message: String,
    },
    /// The run ended: the last event.
    RunFinished {
        /// Exit code of the process.
        exit_code: u8,
        /// The result in one line.
        summary: String,
        /// The current revision, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u32>,
        /// Addresses at which the app's Services answer.
        addresses: Vec<String>,
        /// The result on each target, in the order of the command line. Absent for a single target.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetEnd>,
        /// The error of a failed run; with several targets, the error of the first one that failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
}

/// The result of a run on one of its targets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetEnd {
    /// Name of the target.
    pub target: String,
    /// The result; never `skipped`.
    pub outcome: StepOutcome,
    /// The current revision on the target, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Addresses at which the app's Services answer.
    pub addresses: Vec<String>,
    /// The error, if the run failed on this target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The step did its work.
    Done,
    /// The step had nothing to do (invariant I7).
    Unchanged,
    /// The step did not run.
    Skipped,
    /// The step failed.
    Failed,
    /// The user stopped the step.
    Cancelled,
}

/// The state of an object that the run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Progressing normally.
    Waiting,
    /// A fault that may be temporary.
    Failing,
    /// A fault that is permanent.
    Failed,
    /// The object is ready.
    Ready,
}

/// The numbers of an object's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replicas {
    /// Ready replicas.
    pub ready: u32,
    /// Replicas of the newest version.
    pub updated: u32,
    /// Wanted replicas.
    pub desired: u32,
}

/// The level of a log line or a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the authors of a component.
    Trace,
    /// For the search for a fault.
    Debug,
    /// A fact.
    Info,
    /// A possible fault.
    Warn,
    /// A fault.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// The state of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookPhase {
    /// The run waits for the hook.
    Running,
    /// The hook completed.
    Succeeded,
    /// The hook failed.
    Failed,
}

/// The resource usage of an object's container, as its kubelet measured it. Of several containers, the one with the
/// highest memory usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// The object of the container.
    pub object: ObjectRef,
    /// The container's name.
    pub container: String,
    /// The working set in bytes.
    pub memory_bytes: u64,
    /// The memory limit as written in the object, e.g. `256Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// CPU usage in thousandths of a core.
    pub cpu_millis: u32,
    /// The CPU limit as written in the object, e.g. `500m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<String>,
}

/// Sends events to the renderer. Cheap to clone; a clone can be bound to a target and a step.
#[derive(Clone, Debug)]
pub struct Bus {
    began: Instant,
    sender: mpsc::UnboundedSender<Event>,
    target: Option<String>,
    step: Option<String>,
}

impl Bus {
    /// A bus, and the receiver for the renderer.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { began: Instant::now(), sender, target: None, step: None }, receiver)
    }

    /// The same bus, bound to `target`.
    #[must_use]
    pub fn for_target(&self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self.clone() }
    }

    /// The same bus, bound to `step`.
    #[must_use]
    pub fn for_step(&self, step: &str) -> Self {
        Self { step: Some(step.to_owned()), ..self.clone() }
    }

    /// Milliseconds since the run began.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sends an event. Events sent after the renderer has stopped are dropped.
    pub fn send(&self, kind: EventKind) {
        let at_ms = self.elapsed_ms();
        let event = Event { at_ms, target: self.target.clone(), step: self.step.clone(), kind };
        // The channel is closed if the renderer has stopped.
        let _ = self.sender.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_current() {
        let published = fs_err::read_to_string("../../docs/events.schema.json").unwrap();
        let published: serde_json::Value = serde_json::from_str(&published).unwrap();
        assert!(
            published == Event::json_schema(),
            "docs/events.schema.json is not current: `todohost schema events > docs/events.schema.json`"
        );
    }
}
