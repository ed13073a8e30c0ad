//! A plain cause for which an object is not ready, and the choice of the gravest.

use std::time::Duration;

use crate::document::text;
use crate::{containers, creation, pods};
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Verdict};

/// Why something is not ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause<'a> {
    /// Kubernetes' own word for it, e.g. `ErrImageNeverPull`.
    pub reason: &'static str,
    /// One line.
    pub message: String,
    /// The pod that it is about.
    pub pod: Option<&'a Value>,
    /// Name of the container that it is about.
    pub container: Option<&'a str>,
    /// Whether waiting may help.
    pub gravity: Gravity,
}

/// Whether waiting may help; graver ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It may get better by itself at any time.
    MayPass,
    /// It gets better within this time, or not at all.
    Passes(Duration),
    /// It stays so until somebody changes something.
    Final,
}

impl Cause<'_> {
    /// As a judgement of the object that owns the pod.
    pub fn into_verdict(self) -> Verdict {
        let pod = self.pod.map(|pod| text(pod, "/metadata/name")).unwrap_or_default();
        let message = match pod {
            "" => self.message,
            pod => format!("{pod}: {}", self.message),
        };
        match self.gravity {
            Gravity::Final => Verdict::new(Health::Failed, self.reason, message),
            Gravity::Passes(time) => {
                Verdict::new(Health::Failing, self.reason, message).patience(time)
            }
            Gravity::MayPass => Verdict::new(Health::Failing, self.reason, message),
        }
    }

    /// What tells it from other causes of the same object: replicas fail alike.
    fn kind(&self) -> (&'static str, Option<&str>) {
        (self.reason, self.container)
    }
}

/// Every distinct cause, the gravest first.
pub fn all(subject: &Subject) -> Vec<Cause<'_>> {
    let mut found: Vec<Cause<'_>> = creation::cause(subject).into_iter().collect();
    // A Job counts the failures of its pods itself.
    let is_retried = matches!(text(&subject.object, "/kind"), "Job" | "CronJob");
    for pod in pods::current(subject) {
        let mut causes = containers::causes(pod, &subject.events);
        if is_retried {
            for cause in causes.iter_mut().filter(|cause| containers::is_of_an_exit(cause)) {
                cause.gravity = Gravity::MayPass;
            }
        }
        found.append(&mut causes);
        found.extend(pods::cause(pod, subject));
    }
    // Stable: of equals the first pod by name comes first, as the host sorts them.
    found.sort_by_key(|cause| std::cmp::Reverse(cause.gravity));
    let mut distinct: Vec<Cause<'_>> = Vec::new();
    for cause in found {
        if distinct.iter().all(|one| one.kind() != cause.kind()) {
            distinct.push(cause);
        }
    }
    distinct
}
