//! Checks: which phases run, and how their findings end the run. `subject` makes the document that a check judges.

mod subject;

use std::sync::Arc;

use self::subject::Subject;
use super::context::{Access, Deadline, note};
use super::error::RunError;
use super::plan::{Chosen, Goal};
use super::scheduler::Report;
use super::stages::{Applied, ImageSet, Rendered};
use todohost_cluster::Relay;
use todohost_model::event::{Bus, EventKind, Finding, FindingOutcome, Level, Row};
use todohost_runtime::capability::CallEnvironment;
use todohost_runtime::plugin::Plugin;
use todohost_runtime::plugin::manifest::NAMED_SECRET;
use todohost_runtime::plugin::wit::check::{Phase, Spec};

/// Most rows of a check's table.
const MOST_ROWS: usize = 200;

/// The stages that a check may judge, as far as the plan has come.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    pub images: &'a ImageSet,
    pub rendered: Option<&'a Rendered>,
    pub applied: Option<&'a Applied>,
}

/// The phases that need nothing rendered.
pub(super) const INPUTS: &[Phase] = &[Phase::Preflight, Phase::Source, Phase::Values];
/// The phase that judges the rendered objects.
pub(super) const RENDERED: &[Phase] = &[Phase::Rendered];
/// The phase that judges the running app. A failed finding fails the verification, so the deploy is rolled back.
pub(super) const LIVE: &[Phase] = &[Phase::Live];

/// Runs a check's specs of these phases.
pub(super) async fn run(
    access: Access<'_>,
    judged: Judged<'_>,
    name: &str,
    chosen: &Chosen,
    bus: Bus,
    phases: &[Phase],
) -> Result<Report, RunError> {
    let plugin = access.cx.plugin(chosen)?;
    let secret = chosen.info.manifest.named_secret(&chosen.options);
    let relay = relay(access);
    let check = |deadline| {
        let mut context = access.call(bus.clone(), deadline, name);
        let environment = CallEnvironment {
            secret: secret.clone(),
            relay: relay.clone(),
            ..CallEnvironment::clone(&context.environment)
        };
        context.environment = Arc::new(environment);
        plugin.check(context)
    };
    let specs = check(Deadline::Short)?.checks().await?;
    let mut ran = false;
    let mut outcomes: Vec<FindingOutcome> = Vec::new();
    let mut failed: Vec<Finding> = Vec::new();
    for spec in &specs {
        for phase in phases.iter().filter(|phase| spec.phases.contains(phase)) {
            let source = format!("{name}/{}", spec.id);
            if *phase == Phase::Preflight && access.connected.is_none() {
                // Without a cluster the rows cannot be judged: announce them, so that they are shown as not judged.
                if !spec.rows.is_empty() {
                    bus.send(judged_event(access, spec, source));
                }
                continue;
            }
            let revealed = revealed(&plugin, secret.as_deref());
            let subject = Subject { access, judged, revealed: &revealed };
            let subject = subject.document(*phase).await?.to_string();
            let options = chosen.options.to_string();
            let mut check = check(Deadline::requested(spec.timeout_ms))?;
            let findings = check.run(spec.id.clone(), options, subject).await;
            // Even if the check failed or the user stopped it.
            if let Some(relay) = &relay
                && let Err(error) = relay.remove().await
            {
                let message = format!(
                    "could not delete the pod of check {name}; it ends on its own: {error}"
                );
                note(&bus, Level::Warn, message);
            }
            let findings = findings?;
            ran = true;
            let findings: Vec<Finding> =
                findings.into_iter().map(|finding| finding.into_event(&source)).collect();
            outcomes.extend(findings.iter().map(|finding| finding.outcome));
            bus.send(judged_event(access, spec, source));
            failed.extend(access.report_findings(&bus, findings));
        }
    }
    if let Some(first) = failed.first() {
        return Err(RunError::Checks {
            check: name.to_owned(),
            first: first.message.clone(),
            count: failed.len(),
            help: first.help.clone(),
            live: phases.contains(&Phase::Live),
        });
    }
    if !ran {
        return Ok(Report::skipped("not applicable to this command"));
    }
    Ok(Report::done(FindingOutcome::tally(&outcomes, label)))
}

/// The way into the cluster for a check that connects from a pod. Only the doctor has one: a deploy has its own pods,
/// and a run that changes nothing must not create any.
fn relay(access: Access<'_>) -> Option<Arc<Relay>> {
    let connected = access.connected.filter(|_| access.cx.goal == Goal::Doctor)?;
    let file = &access.cx.run.project.file;
    let repositories = file.images.keys().cloned().collect();
    Some(Arc::new(Relay::new(connected.client.clone(), &file.app.namespace, repositories)))
}

/// Announces the rows that a check's findings belong to.
fn judged_event(access: Access<'_>, spec: &Spec, source: String) -> EventKind {
    let vault = access.vault();
    let rows = spec
        .rows
        .iter()
        .take(MOST_ROWS)
        .map(|row| Row { code: vault.redact(&row.key), title: vault.redact(&row.value) });
    EventKind::Judged { source, title: vault.redact(&spec.title), rows: rows.collect() }
}

/// An outcome in the summary of the step. A failed one has ended the run before.
const fn label(outcome: FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Passed => "passed",
        FindingOutcome::Warning => "warned",
        FindingOutcome::Failed => "failed",
        FindingOutcome::NotJudged => "not judged",
    }
}

/// Value paths that the component may read. `$secret` stands for the secret that an option names.
fn revealed(plugin: &Plugin, secret: Option<&str>) -> Vec<String> {
    let granted = plugin.grants().revealed().iter();
    granted
        .filter_map(|path| if path == NAMED_SECRET { secret } else { Some(path.as_str()) })
        .map(str::to_owned)
        .collect()
}
