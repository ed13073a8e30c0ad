//! The step `verify`: is what runs healthy, and if not, why.

use crate::bindings::verify::exports::todohost::plugin::verify as wit;
use crate::{Error, Finding, ObjectRef, Result, options, panic};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;
use std::time::Duration;

pub use wit::{Health, Probe, Replicas, Usage, Verdict};

impl Verdict {
    /// A judgement with a reason in one word and a message in one line.
    pub fn new(health: Health, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            health,
            reason: reason.into(),
            message: message.into(),
            patience_ms: None,
            replicas: None,
        }
    }

    /// `failing` becomes a failure when it stays so for this long.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience_ms = Some(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// How many replicas there are, and should be.
    #[must_use]
    pub fn replicas(mut self, ready: u32, updated: u32, desired: u32) -> Self {
        self.replicas = Some(Replicas { ready, updated, desired });
        self
    }
}

impl Probe {
    /// A GET that must answer 200.
    pub fn get(
        object: ObjectRef,
        port: u16,
        path: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        Self { object, port, path: path.into(), expect_status: vec![200], title: title.into() }
    }
}

/// An object with what it owns and what was reported about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// The object.
    pub object: Value,
    /// Replica sets, pods and whatever else it owns.
    pub related: Vec<Value>,
    /// Their events.
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

/// A judge of health: pure but for the probes that it asks the host to make.
pub trait Verify {
    /// What the project may set for the judge.
    type Options: DeserializeOwned;

    /// Judges one object as it is now. The host watches, waits, and asks again on every change.
    ///
    /// # Errors
    /// When the object cannot be understood.
    fn judge(options: Self::Options, subject: &Subject) -> Result<Verdict>;

    /// The requests that the host makes once everything is healthy.
    ///
    /// # Errors
    /// When the objects cannot be understood.
    fn probes(_options: Self::Options, _objects: &[Value]) -> Result<Vec<Probe>> {
        Ok(Vec::new())
    }

    /// Why it failed and what to do, from the object, its events, the last lines of its containers (pairs of
    /// `POD/CONTAINER` and text) and the most that they used while the host watched.
    ///
    /// # Errors
    /// When the object cannot be understood.
    fn explain(
        options: Self::Options,
        subject: &Subject,
        logs: &[(String, String)],
        usage: &[Usage],
    ) -> Result<Vec<Finding>>;
}

/// Turns a [`Verify`] into the export.
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
