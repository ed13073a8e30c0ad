//! The row about connections from a pod, compared with those from this machine.

use crate::address::Address;
use crate::client::{Attempt, Failure};
use crate::rows::{PODS, failure_finding};
use todohost_plugin::{Error, Finding, Outcome};

const ONLY_HERE: &str = "reachable from here but not from the cluster";

/// The error for which no connection from a pod was tried.
pub fn not_checked(pod: &Attempt) -> Option<&Error> {
    match &pod.failure {
        Some(Failure::Network(error)) if !error.code.starts_with("todohost.connect.") => {
            Some(error)
        }
        _ => None,
    }
}

/// The finding for a loopback address, which in a pod is the pod itself.
pub fn loopback(address: &Address, here: &Attempt) -> Finding {
    let message = format!("in a pod, {} is the pod itself, not this machine", address.host);
    let finding = if here.is_connected() {
        Finding::failed(PODS, format!("{ONLY_HERE}: {message}"))
    } else {
        Finding::warning(PODS, message)
    };
    finding.help(
        "use a name under which pods reach this machine, e.g. host.docker.internal on Docker Desktop, and let the server listen on that address",
    )
}

/// Compares the attempt from a pod with that from this machine.
pub fn compare(address: &Address, here: &Attempt, pod: &Attempt) -> Finding {
    if let Some(error) = not_checked(pod) {
        let message = format!("not checked from a pod: {}", address.hide(&error.message));
        let finding = Finding::new(Outcome::NotJudged, PODS, message);
        let causes = error.causes.iter();
        let finding = causes.fold(finding, |finding, cause| finding.evidence(address.hide(cause)));
        return match &error.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        };
    }
    let failure_of = |attempt: &Attempt| {
        let failure = attempt.failure.as_ref();
        failure.map(|failure| failure_finding(address, attempt, failure, true))
    };
    match (failure_of(here), failure_of(pod)) {
        (None, None) => Finding::passed(PODS, "a pod can connect too"),
        (Some(here), None) => {
            let message = "a pod can connect; this machine cannot, but the app does not need that";
            Finding::passed(PODS, format!("{message}: {}", here.message))
        }
        (Some(failure), Some(_)) if pod.depth() > here.depth() => {
            let message = format!(
                "the rows above were checked from a pod; from this machine: {}",
                failure.message
            );
            Finding::new(Outcome::NotJudged, PODS, message)
        }
        (Some(here), Some(pod)) if here.message == pod.message => {
            Finding::new(Outcome::NotJudged, PODS, "a pod gets the same result as this machine")
        }
        (_, Some(finding)) if finding.outcome == Outcome::NotJudged => {
            let message = format!("a pod can reach the server; {}", finding.message);
            Finding { code: PODS.into(), message, ..finding }
        }
        (_, Some(finding)) => {
            let message = match (here.answered, pod.answered) {
                (true, false) => format!("{ONLY_HERE}: {}", finding.message),
                _ => format!("a pod gets another result than this machine: {}", finding.message),
            };
            let help = match &pod.failure {
                Some(Failure::Network(error)) => Some(pod_help(address, error)),
                _ => finding.help.clone(),
            };
            let causes = finding.evidence.iter().cloned();
            let finding = causes.fold(Finding::failed(PODS, message), Finding::evidence);
            match help {
                Some(help) => finding.help(help),
                None => finding,
            }
        }
    }
}

/// Help for a server that pods cannot reach, even if this machine can.
fn pod_help(address: &Address, error: &Error) -> String {
    match error.code.as_str() {
        "todohost.connect.unknown-host" => format!(
            "the cluster's DNS cannot resolve {}: use a name that it can resolve, or an IP address",
            address.host
        ),
        "todohost.connect.refused" => format!(
            "let the server listen on an address that pods can reach (listen_addresses = '*'), and use it in the URL; in a \
             pod, {} may be another machine",
            address.host
        ),
        _ => "a NetworkPolicy of the namespace or a firewall may block it: kubectl get networkpolicies".into(),
    }
}
