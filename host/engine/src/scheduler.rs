//! Runs a step graph: every step starts as soon as the steps that it needs are over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::plan::{Step, StepId};
use todohost_model::event::{Bus, EventKind, StepOutcome};

/// The result of a step that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub outcome: StepOutcome,
    pub detail: String,
}

impl Report {
    pub fn done(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Done, detail: detail.into() }
    }

    pub fn unchanged(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Unchanged, detail: detail.into() }
    }

    pub fn skipped(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Skipped, detail: detail.into() }
    }
}

/// Runs one step.
pub(super) trait StepRunner {
    fn run<'a>(&'a self, step: &'a Step, bus: Bus) -> LocalBoxFuture<'a, Result<Report, RunError>>;

    /// Whether a failure stops also the steps that do not need the one that failed.
    fn stops_at_failures(&self) -> bool;
}

/// Runs all steps and returns the first failure. If failures stop the other steps, those end before this returns. If
/// failures do not stop them, the first failure is that of the first step in the order of the plan.
pub(super) async fn execute(
    steps: &[Step],
    runner: &dyn StepRunner,
    bus: &Bus,
    cancel: &CancellationToken,
) -> Result<(), RunError> {
    let mut waiting: BTreeMap<&StepId, &Step> = steps.iter().map(|step| (&step.id, step)).collect();
    let mut over: BTreeSet<&StepId> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    let mut failure: Option<(usize, RunError)> = None;
    loop {
        if !cancel.is_cancelled() {
            for step in steps {
                if waiting.contains_key(&step.id)
                    && step.needs.iter().all(|need| over.contains(need))
                {
                    waiting.remove(&step.id);
                    running.push(one(step, runner, bus.for_step(&step.id.0)));
                }
            }
        }
        let Some((step, result)) = running.next().await else { break };
        match result {
            Ok(()) => {
                over.insert(&step.id);
            }
            Err(error) => {
                if runner.stops_at_failures() {
                    cancel.cancel();
                }
                let place = steps.iter().position(|other| other.id == step.id).unwrap_or_default();
                let is_first = match &failure {
                    None => true,
                    // Errors of steps that were stopped are not the cause.
                    Some((_, first)) if first.is_cancelled() != error.is_cancelled() => {
                        first.is_cancelled()
                    }
                    // Of two interrupted steps, the one that left something behind matters.
                    Some((_, first)) if error.names_leftovers() => !first.names_leftovers(),
                    // If steps do not stop each other, their order in the plan decides, not their speed.
                    Some((at, _)) => !runner.stops_at_failures() && place < *at,
                };
                if is_first {
                    failure = Some((place, error));
                }
            }
        }
    }
    for step in waiting.values() {
        let detail = String::new();
        let outcome = StepOutcome::Skipped;
        bus.for_step(&step.id.0).send(EventKind::StepFinished { outcome, detail, elapsed_ms: 0 });
    }
    match failure {
        Some((_, error)) => Err(error),
        None if waiting.is_empty() => Ok(()),
        None if cancel.is_cancelled() => Err(RunError::cancelled()),
        None => Err(RunError::internal("steps wait for each other in a circle")),
    }
}

async fn one<'a>(
    step: &'a Step,
    runner: &dyn StepRunner,
    bus: Bus,
) -> (&'a Step, Result<(), RunError>) {
    let began = Instant::now();
    bus.send(EventKind::StepStarted { title: step.title.clone() });
    let result = runner.run(step, bus.clone()).await;
    let (outcome, detail) = match &result {
        Ok(report) => (report.outcome, report.detail.clone()),
        Err(error) if error.is_cancelled() => (StepOutcome::Cancelled, String::new()),
        Err(error) => (StepOutcome::Failed, error.failure().message),
    };
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    bus.send(EventKind::StepFinished { outcome, detail, elapsed_ms });
    (step, result.map(drop))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::plan::Action;

    struct Scripted {
        begun: Mutex<Vec<String>>,
        gate: tokio::sync::Barrier,
        cancel: CancellationToken,
        goes_on: bool,
    }

    impl StepRunner for Scripted {
        fn run<'a>(
            &'a self,
            step: &'a Step,
            _bus: Bus,
        ) -> LocalBoxFuture<'a, Result<Report, RunError>> {
            Box::pin(async move {
                self.begun.lock().unwrap().push(step.id.0.clone());
                match step.id.0.as_str() {
                    // Only steps that run at the same time get past the barrier.
                    "check:a" | "check:b" => {
                        self.gate.wait().await;
                    }
                    "check:fails-later" => {
                        tokio::task::yield_now().await;
                        return Err(RunError::internal("it fails later"));
                    }
                    "check:fails" => return Err(RunError::internal("it fails")),
                    "check:waits" => {
                        self.cancel.cancelled().await;
                        return Err(RunError::cancelled());
                    }
                    _ => {}
                }
                Ok(Report::done(""))
            })
        }

        fn stops_at_failures(&self) -> bool {
            !self.goes_on
        }
    }

    fn step(name: &str, needs: &[&str]) -> Step {
        let needs = needs.iter().map(|need| StepId(format!("check:{need}"))).collect();
        Step::new(Action::CheckInputs { check: name.into() }, name.into(), None, needs)
    }

    async fn run(steps: &[Step]) -> (Result<(), RunError>, Vec<String>) {
        run_all(steps, false).await
    }

    async fn run_all(steps: &[Step], goes_on: bool) -> (Result<(), RunError>, Vec<String>) {
        let cancel = CancellationToken::new();
        let gate = tokio::sync::Barrier::new(2);
        let scripted = Scripted { begun: Mutex::default(), gate, cancel: cancel.clone(), goes_on };
        let (bus, _events) = Bus::new();
        let result = execute(steps, &scripted, &bus, &cancel).await;
        (result, scripted.begun.into_inner().unwrap())
    }

    #[tokio::test]
    async fn independent_steps_run_at_the_same_time_and_others_in_order() {
        let steps = [step("last", &["a", "b"]), step("a", &[]), step("b", &[])];
        let (result, begun) = run(&steps).await;
        result.unwrap();
        assert_eq!(begun.last().unwrap(), "check:last");
    }

    #[tokio::test]
    async fn the_first_failure_stops_the_rest_and_is_returned() {
        let steps = [step("waits", &[]), step("fails", &[]), step("after", &["fails"])];
        let (result, begun) = run(&steps).await;
        assert_eq!(result.unwrap_err().to_string(), "internal: it fails");
        assert!(!begun.contains(&"check:after".to_owned()));
    }

    #[tokio::test]
    async fn without_stopping_only_dependents_of_a_failed_step_are_skipped() {
        let steps =
            [step("fails", &[]), step("after", &["fails"]), step("x", &[]), step("y", &["x"])];
        let (result, begun) = run_all(&steps, true).await;
        assert_eq!(result.unwrap_err().to_string(), "internal: it fails");
        assert_eq!(begun, ["check:fails", "check:x", "check:y"]);
    }

    #[tokio::test]
    async fn of_failures_that_do_not_stop_the_rest_the_first_in_order_is_first() {
        let steps = [step("fails-later", &[]), step("fails", &[])];
        let (result, _) = run_all(&steps, true).await;
        assert_eq!(result.unwrap_err().to_string(), "internal: it fails later");
        let (result, _) = run(&steps).await;
        assert_eq!(result.unwrap_err().to_string(), "internal: it fails");
    }

    #[tokio::test]
    async fn a_circle_is_first_and_not_waited_for() {
        let (result, _) = run(&[step("x", &["y"]), step("y", &["x"])]).await;
        assert_eq!(result.unwrap_err().exit(), todohost_model::exit::Exit::Internal);
    }
}
