//! The row about pods: what one saw, beside what this machine saw.

use crate::address::Address;
use crate::conversation::{Trouble, Visit};
use crate::rows::{PODS, failure};
use todohost_plugin::{Error, Finding, Outcome};

/// What there is between this machine and the cluster.
const ONLY_HERE: &str = "reachable from here but not from the cluster";

/// Why no pod looked, where none did.
pub fn not_asked(pod: &Visit) -> Option<&Error> {
    match &pod.trouble {
        Some(Trouble::Network(error)) if !error.code.starts_with("todohost.connect.") => {
            Some(error)
        }
        _ => None,
    }
}

/// A place that is another one for each machine.
pub fn itself(address: &Address, here: &Visit) -> Finding {
    let message = format!("{} is the pod itself there, not this machine", address.host);
    let finding = if here.is_in() {
        Finding::failed(PODS, format!("{ONLY_HERE}: {message}"))
    } else {
        Finding::warning(PODS, message)
    };
    finding.help(
        "name this machine as pods reach it, e.g. host.docker.internal on Docker Desktop, and let the server listen there",
    )
}

/// What a pod saw, beside what this machine saw.
pub fn beside(address: &Address, here: &Visit, pod: &Visit) -> Finding {
    if let Some(error) = not_asked(pod) {
        let message = format!("no pod was asked: {}", address.hide(&error.message));
        let finding = Finding::new(Outcome::NotJudged, PODS, message);
        let causes = error.causes.iter();
        let finding = causes.fold(finding, |finding, cause| finding.evidence(address.hide(cause)));
        return match &error.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        };
    }
    let trouble_of = |visit: &Visit| {
        let trouble = visit.trouble.as_ref();
        trouble.map(|trouble| failure(address, visit, trouble, true))
    };
    match (trouble_of(here), trouble_of(pod)) {
        (None, None) => Finding::passed(PODS, "a pod is let in, too"),
        (Some(here), None) => {
            let message = "a pod is let in; this machine is not, which the app does not need";
            Finding::passed(PODS, format!("{message}: {}", here.message))
        }
        (Some(trouble), Some(_)) if pod.depth() > here.depth() => {
            let message = format!("the rows above are a pod's; this machine: {}", trouble.message);
            Finding::new(Outcome::NotJudged, PODS, message)
        }
        (Some(here), Some(pod)) if here.message == pod.message => {
            Finding::new(Outcome::NotJudged, PODS, "a pod comes as far as this machine")
        }
        (_, Some(finding)) if finding.outcome == Outcome::NotJudged => {
            let message = format!("a pod reaches it; {}", finding.message);
            Finding { code: PODS.into(), message, ..finding }
        }
        (_, Some(finding)) => {
            let message = match (here.answered, pod.answered) {
                (true, false) => format!("{ONLY_HERE}: {}", finding.message),
                _ => format!("a pod meets something else than this machine: {}", finding.message),
            };
            let help = match &pod.trouble {
                Some(Trouble::Network(error)) => Some(help_for_pods(address, error)),
                _ => finding.help.clone(),
            };
            let told = finding
                .evidence
                .iter()
                .fold(Finding::failed(PODS, message), |told, cause| told.evidence(cause.clone()));
            match help {
                Some(help) => told.help(help),
                None => told,
            }
        }
    }
}

/// What lets pods reach a place that this machine may well reach.
fn help_for_pods(address: &Address, error: &Error) -> String {
    match error.code.as_str() {
        "todohost.connect.unknown-host" => format!(
            "the cluster's name service does not know {}: write a name that it knows, or an address",
            address.host
        ),
        "todohost.connect.refused" => format!(
            "let the server listen where pods reach it (listen_addresses = '*'), and name that in the URL; from a pod, {} \
             may be another machine",
            address.host
        ),
        _ => "a NetworkPolicy of the namespace, or a firewall, may be between: kubectl get networkpolicies".into(),
    }
}
