//! Doctor: the state of the target and whether its cluster answers, as rows of a table. Starts nothing.
//!
//! Owns the two rows that no check can judge, since checks come after them. A target that cannot be connected ends the
//! command with an error, but only after the checks that need no cluster.

use std::sync::Arc;

use crate::connected::Connected;
use crate::context::{Context, Deadline};
use crate::error::RunError;
use crate::plan::Chosen;
use crate::scheduler::Report;
use crate::slots::Slots;
use todohost_model::event::{Bus, EventKind, Failure, Finding, FindingOutcome, Row, StepOutcome};
use todohost_runtime::plugin::wit::target;

/// Source of the findings of both rows; the table stands above those of checks.
const SOURCE: &str = "target";
const STATE: &str = "target.state";
const KUBERNETES: &str = "target.kubernetes";

/// Judges both rows. Gives `connected`, or else `unreachable`.
pub(crate) async fn run(
    cx: &Arc<Context>,
    slots: &Slots,
    chosen: &Chosen,
    bus: Bus,
) -> Result<Report, RunError> {
    let row = |code: &str, title: &str| Row { code: code.into(), title: title.into() };
    let rows = vec![row(STATE, "State"), row(KUBERNETES, "Kubernetes answers")];
    let title = format!("The target {}", cx.target_name());
    bus.send(EventKind::Judged { source: SOURCE.to_owned(), title, rows });
    let findings = target_state(cx, chosen, &bus).await?;
    cx.offline().report_findings(&bus, findings);
    match super::run(cx, chosen, bus.clone()).await {
        Ok((connected, report)) => {
            let finding = passed(KUBERNETES, report.detail);
            Connected::report_findings(&connected, &bus, vec![finding]);
            slots.connected.put((connected, Report::done("connected")))
        }
        Err(error) if error.is_cancelled() => Err(error),
        Err(error) => {
            let finding = failed(KUBERNETES, error.failure());
            let detail = finding.message.clone();
            cx.offline().report_findings(&bus, vec![finding]);
            slots.unreachable.put((error, Report { outcome: StepOutcome::Failed, detail }))
        }
    }
}

/// The state that the target reports, and its warnings.
async fn target_state(cx: &Context, chosen: &Chosen, bus: &Bus) -> Result<Vec<Finding>, RunError> {
    let context = cx.offline().call(bus.clone(), Deadline::Short, &chosen.digest);
    let mut target = cx.plugin(chosen)?.target(context)?;
    let status = match target.detect(chosen.options.to_string()).await.map_err(RunError::from) {
        Ok(status) => status,
        Err(error) if error.is_cancelled() => return Err(error),
        Err(error) => return Ok(vec![failed(STATE, error.failure())]),
    };
    let (word, outcome) = match status.state {
        target::State::Ready => ("ready", FindingOutcome::Passed),
        target::State::Starting => ("starting", FindingOutcome::Warning),
        target::State::Degraded => ("degraded", FindingOutcome::Warning),
        target::State::Stopped => ("stopped", FindingOutcome::Failed),
        target::State::Absent => ("absent", FindingOutcome::Failed),
    };
    let detail = status.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    let facts = facts(status.mode.as_deref(), status.runtime.as_deref(), &status.nodes);
    let facts = if facts.is_empty() { facts } else { format!(" ({facts})") };
    let name = cx.target_name();
    let help = status.offer.map(|offer| {
        format!("it would {offer}, if you agree: todohost deploy --target {name} --yes")
    });
    let state = Finding { outcome, help, ..passed(STATE, format!("{word}{detail}{facts}")) };
    let warning = |message| Finding { outcome: FindingOutcome::Warning, ..passed(STATE, message) };
    Ok(std::iter::once(state).chain(status.warnings.into_iter().map(warning)).collect())
}

/// More nodes than this are counted rather than named.
const NAMED: usize = 3;

/// Facts about a cluster beside its state: `MODE, RUNTIME, node NAME`.
pub fn facts(mode: Option<&str>, runtime: Option<&str>, nodes: &[String]) -> String {
    let nodes = match nodes {
        [] => None,
        [one] => Some(format!("node {one}")),
        few if few.len() <= NAMED => Some(format!("nodes {}", few.join(", "))),
        many => Some(format!("{} nodes", many.len())),
    };
    let known = [mode.map(str::to_owned), runtime.map(str::to_owned), nodes];
    known.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn passed(code: &str, message: String) -> Finding {
    Finding {
        source: SOURCE.to_owned(),
        outcome: FindingOutcome::Passed,
        code: code.to_owned(),
        message,
        evidence: Vec::new(),
        help: None,
        file: None,
        pointer: None,
        object: None,
    }
}

fn failed(code: &str, failure: Failure) -> Finding {
    Finding {
        outcome: FindingOutcome::Failed,
        evidence: failure.causes,
        help: failure.help,
        ..passed(code, failure.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_facts_are_left_out() {
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(facts(None, None, &[]), "");
        let one = named(&["docker-desktop"]);
        assert_eq!(
            facts(Some("kubeadm"), Some("docker"), &one),
            "kubeadm, docker, node docker-desktop"
        );
        assert_eq!(facts(None, Some("containerd"), &named(&["a", "b"])), "containerd, nodes a, b");
        assert_eq!(facts(None, None, &named(&["a", "b", "c", "d"])), "4 nodes");
    }
}
