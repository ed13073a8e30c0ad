//! Examining: how a target is and whether its cluster answers, told as rows of a table; nothing is started.
//!
//! Owns the two rows that no check can judge, since checks come after them. A target that is not reached ends the
//! command in the end, and until then no other row: what needs no cluster is judged all the same.

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Session, lock};
use crate::plan::Chosen;
use todohost_model::event::{Bus, EventKind, Failure, Finding, FindingOutcome, Row, StepOutcome};
use todohost_runtime::plugin::wit::target;

/// What the rows' findings are called; the table is above those of checks.
const SOURCE: &str = "target";
const STATE: &str = "target.state";
const KUBERNETES: &str = "target.kubernetes";

impl Session {
    pub(super) async fn examine(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let row = |code: &str, title: &str| Row { code: code.into(), title: title.into() };
        let rows = vec![row(STATE, "State"), row(KUBERNETES, "Kubernetes answers")];
        let title = format!("The target {}", self.target.as_deref().unwrap_or_default());
        bus.send(EventKind::Judged { source: SOURCE.to_owned(), title, rows });
        let findings = self.target_state(chosen, &bus).await?;
        self.tell_findings(&bus, findings);
        match self.reach(chosen, bus.clone()).await {
            Ok(report) => {
                self.tell_findings(&bus, vec![passed(KUBERNETES, report.detail)]);
                Ok(Report::done("it is reached"))
            }
            Err(error) if error.is_cancelled() => Err(error),
            Err(error) => {
                let finding = failed(KUBERNETES, error.failure());
                let detail = finding.message.clone();
                self.tell_findings(&bus, vec![finding]);
                *lock(&self.unreached) = Some(error);
                Ok(Report { outcome: StepOutcome::Failed, detail })
            }
        }
    }

    /// How the target says that it is, and what it warns of.
    async fn target_state(&self, chosen: &Chosen, bus: &Bus) -> Result<Vec<Finding>, RunError> {
        let context = self.context(bus.clone(), Deadline::Short, &chosen.digest);
        let plugin = self.plugin(chosen)?;
        let mut target = plugin.target(context)?;
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
        let name = self.target.as_deref().unwrap_or_default();
        let help = status.offer.map(|offer| {
            format!("it would {offer}, if you agree: todohost deploy --target {name} --yes")
        });
        let state = Finding { outcome, help, ..passed(STATE, format!("{word}{detail}{facts}")) };
        let warning =
            |message| Finding { outcome: FindingOutcome::Warning, ..passed(STATE, message) };
        Ok(std::iter::once(state).chain(status.warnings.into_iter().map(warning)).collect())
    }
}

/// Nodes that are named; of more it is told how many there are.
const NAMED: usize = 3;

/// What a target knows of its cluster beside its state: `MODE, RUNTIME, node NAME`.
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
    fn what_is_not_known_is_left_out() {
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
