//! The step `verify`: judges the health of deployed objects and explains failures.
//!
//! ```
//! use todohost_plugin::verify::{Health, Subject, Usage, Verdict};
//! use todohost_plugin::{Finding, NoOptions, Result, Verify};
//!
//! struct Jobs;
//!
//! impl Verify for Jobs {
//!     type Options = NoOptions;
//!
//!     fn judge(_options: NoOptions, subject: &Subject) -> Result<Verdict> {
//!         let status = &subject.object["status"];
//!         Ok(if subject.object["kind"] != "Job" {
//!             Verdict::new(Health::NoOpinion, "Other", "not a Job")
//!         } else if status["succeeded"].as_u64() > Some(0) {
//!             Verdict::new(Health::Healthy, "Succeeded", "the Job succeeded")
//!         } else if status["failed"].as_u64() > Some(0) {
//!             Verdict::new(Health::Failed, "Failed", "a pod of the Job failed")
//!         } else {
//!             Verdict::new(Health::Progressing, "Running", "the Job is running")
//!         })
//!     }
//!
//!     fn explain(
//!         _options: NoOptions,
//!         _subject: &Subject,
//!         logs: &[(String, String)],
//!         _usage: &[Usage],
//!     ) -> Result<Vec<Finding>> {
//!         let line = |(container, text): &(String, String)| format!("{container}: {text}");
//!         let failed = Finding::failed("job.failed", "a pod of the Job failed");
//!         Ok(vec![logs.iter().map(line).fold(failed, Finding::evidence)])
//!     }
//! }
//!
//! todohost_plugin::export!(Jobs: verify);
//! # fn main() {
//! # let object = serde_json::json!({"kind": "Job", "status": {"succeeded": 1}});
//! # let subject = Subject { object, ..Subject::default() };
//! # assert_eq!(Jobs::judge(NoOptions {}, &subject).unwrap().health, Health::Healthy);
//! # }
//! ```

use crate::bindings::verify::exports::todohost::plugin::verify as wit;
use crate::{Error, Finding, ObjectRef, Result, options, panic};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;
use std::time::Duration;

pub use wit::{Health, Probe, Replicas, Usage, Verdict};

impl Verdict {
    /// A verdict with a reason in one word and a message in one line.
    pub fn new(health: Health, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            health,
            reason: reason.into(),
            message: message.into(),
            patience_ms: None,
            replicas: None,
        }
    }

    /// Sets the time after which [`Health::Failing`] counts as a failure.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience_ms = Some(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sets the numbers of ready, updated and desired replicas.
    #[must_use]
    pub fn replicas(mut self, ready: u32, updated: u32, desired: u32) -> Self {
        self.replicas = Some(Replicas { ready, updated, desired });
        self
    }
}

impl Probe {
    /// A GET request that must return the status 200.
    pub fn get(
        object: ObjectRef,
        port: u16,
        path: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        Self { object, port, path: path.into(), expect_status: vec![200], title: title.into() }
    }
}

/// An object with its owned objects and their events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// The judged object.
    pub object: Value,
    /// Replica sets, pods and other owned objects.
    pub related: Vec<Value>,
    /// Events of the object and of `related`.
    pub events: Vec<Value>,
}

impl TryFrom<wit::Subject> for Subject {
    type Error = Error;

    fn try_from(subject: wit::Subject) -> Result<Self> {
        Ok(Self {
            object: serde_json::from_str(&subject.object)?,
            related: documents(&subject.related)?,
            events: documents(&subject.events)?,
        })
    }
}

fn documents(texts: &[String]) -> Result<Vec<Value>> {
    texts.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// Judges the health of objects. A pure function, except for the probes that the host runs for it.
pub trait Verify {
    /// The options that a project can set for this step.
    type Options: DeserializeOwned;

    /// Judges the current state of one object. The host watches the object and calls this again on every change.
    ///
    /// # Errors
    /// Fails if the object is malformed.
    fn judge(options: Self::Options, subject: &Subject) -> Result<Verdict>;

    /// Returns the requests that the host sends when all objects are healthy.
    ///
    /// # Errors
    /// Fails if an object is malformed.
    fn probes(_options: Self::Options, _objects: &[Value]) -> Result<Vec<Probe>> {
        Ok(Vec::new())
    }

    /// Explains a failure and suggests a fix, the likeliest cause first. `logs` are the last lines of the containers,
    /// as pairs of `POD/CONTAINER` and text; `usage` is the peak usage of each container while the host watched.
    ///
    /// # Errors
    /// Fails if the object is malformed.
    fn explain(
        options: Self::Options,
        subject: &Subject,
        logs: &[(String, String)],
        usage: &[Usage],
    ) -> Result<Vec<Finding>>;
}

/// Implements the component's export by a [`Verify`].
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Verify> wit::Guest for Adapter<T> {
    fn judge(options: String, subject: wit::Subject) -> Result<Verdict, Error> {
        panic::report_panics();
        T::judge(options::parse(&options)?, &subject.try_into()?)
    }

    fn probes(options: String, objects: Vec<String>) -> Result<Vec<Probe>, Error> {
        panic::report_panics();
        T::probes(options::parse(&options)?, &documents(&objects)?)
    }

    fn explain(
        options: String,
        subject: wit::Subject,
        logs: Vec<(String, String)>,
        usage: Vec<Usage>,
    ) -> Result<Vec<Finding>, Error> {
        panic::report_panics();
        T::explain(options::parse(&options)?, &subject.try_into()?, &logs, &usage)
    }
}
