//! Collects the causes for which an object is not ready, and orders them by severity.

use std::time::Duration;

use crate::document::text;
use crate::{containers, creation, pods};
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Verdict};

/// One cause for which an object is not ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause<'a> {
    /// Kubernetes' own reason, e.g. `ErrImageNeverPull`.
    pub reason: &'static str,
    /// One line for the user.
    pub message: String,
    /// The pod concerned, unless the cause lies in the object itself.
    pub pod: Option<&'a Value>,
    /// Name of the container concerned.
    pub container: Option<&'a str>,
    pub severity: Severity,
}

/// Whether waiting can help. More severe values compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Can go away at any time without a change by the user.
    Transient,
    /// Permanent if it does not go away within this time.
    TransientFor(Duration),
    /// Stays until the user changes the release or the cluster.
    Permanent,
}

impl Cause<'_> {
    /// The verdict on the object that owns the pod.
    pub fn into_verdict(self) -> Verdict {
        let pod = self.pod.map(|pod| text(pod, "/metadata/name")).unwrap_or_default();
        let message = match pod {
            "" => self.message,
            pod => format!("{pod}: {}", self.message),
        };
        match self.severity {
            Severity::Permanent => Verdict::new(Health::Failed, self.reason, message),
            Severity::TransientFor(time) => {
                Verdict::new(Health::Failing, self.reason, message).patience(time)
            }
            Severity::Transient => Verdict::new(Health::Failing, self.reason, message),
        }
    }

    /// Causes of the same object with equal keys are one cause: replicas usually fail in the same way.
    fn key(&self) -> (&'static str, Option<&str>) {
        (self.reason, self.container)
    }
}

/// Every distinct cause, the most severe first.
pub fn all(subject: &Subject) -> Vec<Cause<'_>> {
    let mut found: Vec<Cause<'_>> = creation::cause(subject).into_iter().collect();
    // The Job controller counts the failures of its pods, so an exit is not final for the Job.
    let is_retried = matches!(text(&subject.object, "/kind"), "Job" | "CronJob");
    for pod in pods::current(subject) {
        let mut causes = containers::causes(pod, &subject.events);
        if is_retried {
            for cause in causes.iter_mut().filter(|cause| containers::is_exit(cause)) {
                cause.severity = Severity::Transient;
            }
        }
        found.append(&mut causes);
        found.extend(pods::cause(pod, subject));
    }
    // The sort is stable, so among equals the first pod by name stays first: the host sorts pods by name.
    found.sort_by_key(|cause| std::cmp::Reverse(cause.severity));
    let mut distinct: Vec<Cause<'_>> = Vec::new();
    for cause in found {
        if distinct.iter().all(|one| one.key() != cause.key()) {
            distinct.push(cause);
        }
    }
    distinct
}
