//! One line per event on stderr, for logs and for terminals that cannot do more.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::judgements::Judgements;
use super::{Detail, Renderer, line, targets, waiting};
use todohost_model::event::{
    Event, EventKind, Finding, FindingOutcome, HookPhase, Level, Readiness, StepOutcome,
};
use todohost_model::object::ObjectChange;
use todohost_model::text::{clean, duration, size};

/// Lines of evidence that are shown of one finding.
const MOST_EVIDENCE: usize = 20;

pub(super) struct Plain {
    detail: Detail,
    /// Live lines that were shown: each is one line here, when it opens, even if several steps wait for the same.
    opened: BTreeSet<u64>,
    said: BTreeSet<String>,
    judgements: Judgements,
}

impl Plain {
    pub(super) fn new(detail: Detail) -> Self {
        let judgements = Judgements::new(detail);
        Self { detail, opened: BTreeSet::new(), said: BTreeSet::new(), judgements }
    }
}

impl Renderer for Plain {
    fn show(&mut self, event: &Event) {
        if self.judgements.take(event) {
            return;
        }
        if let EventKind::RunFinished { .. } = &event.kind {
            self.end();
        }
        if let EventKind::StepProgress { id, message, closed: false, .. } = &event.kind
            && self.detail > Detail::Quiet
            && self.opened.insert(*id)
            && self.said.insert(marked(event, message))
        {
            line(&marked(event, &format!("    {}", clean(message))));
        }
        if let Some(text) = line_of(event, self.detail) {
            line(&marked(event, &text));
        }
    }

    fn end(&mut self) {
        if let Some(text) = self.judgements.text(false) {
            line(&text);
        }
    }
}

/// Lines of a run with several targets begin with the one that they are about.
pub(super) fn marked(event: &Event, text: &str) -> String {
    let Some(target) = &event.target else { return text.to_owned() };
    let lines: Vec<String> =
        text.lines().map(|line| format!("[{}] {line}", clean(target))).collect();
    lines.join("\n")
}

/// The line for an event, if it has one.
pub(super) fn line_of(event: &Event, detail: Detail) -> Option<String> {
    let verbose = detail >= Detail::Verbose;
    if detail == Detail::Quiet && !matches!(event.kind, EventKind::RunFinished { .. }) {
        return None;
    }
    let step = event.step.as_deref().unwrap_or_default();
    Some(match &event.kind {
        EventKind::StepStarted { title } => format!("... {}", clean(title)),
        EventKind::StepFinished { outcome, detail, elapsed_ms } => {
            if *outcome == StepOutcome::Skipped && !verbose {
                return None;
            }
            finished(step, *outcome, detail, *elapsed_ms)
        }
        EventKind::StepOutput { line } => format!("    {step} | {}", clean(line)),
        EventKind::PluginLog { plugin, level, message }
            if verbose || matches!(level, Level::Warn | Level::Error) =>
        {
            format!("    {plugin} {level}: {}", clean(message))
        }
        EventKind::PluginCall { plugin, version, export, elapsed_ms, ok, .. } if verbose => {
            let end = if *ok { "" } else { ", failed" };
            format!("    {plugin} {version} {export} ({}{end})", duration(*elapsed_ms))
        }
        EventKind::HostCall { plugin, function, detail, granted, elapsed_ms }
            if verbose || !granted =>
        {
            let end = if *granted { duration(*elapsed_ms) } else { "not granted".to_owned() };
            format!("    {plugin} -> {function} {} ({end})", clean(detail))
        }
        EventKind::Finding(finding) => {
            if !is_told(finding, detail) {
                return None;
            }
            finding_text(finding)
        }
        EventKind::ImageDelivered { reference, bytes_sent, .. } if verbose => {
            format!("    {} took {}", clean(reference), size(*bytes_sent))
        }
        EventKind::ObjectChanged { object, change, reason } => {
            // An unchanged object needs no line; an object kept by the user's rule does.
            if !verbose && *change == ObjectChange::Unchanged {
                return None;
            }
            let reason = reason.as_deref().map(|reason| format!(" ({})", clean(reason)));
            let object = object.to_string();
            format!("    {} {}{}", clean(&object), change_word(*change), reason.unwrap_or_default())
        }
        EventKind::ObjectWaiting { object, state, message, replicas, .. } => {
            let object = object.to_string();
            let count = waiting::count(*replicas);
            let count = if count.is_empty() { count } else { format!(" {count}") };
            let end = match state {
                Readiness::Ready => "ready".to_owned(),
                Readiness::Waiting => format!("waits: {}", clean(message)),
                Readiness::Failing => format!("fails: {}", clean(message)),
                Readiness::Failed => format!("failed: {}", clean(message)),
            };
            format!("    {}{count} {end}", clean(&object))
        }
        EventKind::ObjectUses(usage) if verbose => {
            let (object, container) = (usage.object.to_string(), clean(&usage.container));
            let uses = waiting::uses(usage);
            format!("    {} {container} uses {}", clean(&object), clean(&uses))
        }
        EventKind::Hook { object, moment, phase, elapsed_ms } => {
            let object = object.to_string();
            let end = match phase {
                HookPhase::Running => "runs".to_owned(),
                HookPhase::Succeeded => format!("completed ({})", duration(*elapsed_ms)),
                HookPhase::Failed => format!("failed ({})", duration(*elapsed_ms)),
            };
            format!("    {} {moment} hook {end}", clean(&object))
        }
        EventKind::Note { level, message } if *level == Level::Warn => {
            format!("warning: {}", clean(message))
        }
        EventKind::Note { message, .. } => clean(message).into_owned(),
        EventKind::RunFinished { summary, addresses, targets, error, .. } => {
            let mut text = targets::text(targets, false).unwrap_or_default();
            if error.is_some() {
                // The error itself is the last word, once the screen is done.
                return Some(text).filter(|text| !text.is_empty());
            }
            text.push_str(&clean(summary));
            // The table has them already.
            for address in addresses.iter().filter(|_| targets.len() < 2) {
                text.push_str("\n  ");
                text.push_str(&clean(address));
            }
            text
        }
        _ => return None,
    })
}

pub(super) fn finished(step: &str, outcome: StepOutcome, detail: &str, elapsed: u64) -> String {
    let word = match outcome {
        StepOutcome::Done => "done",
        StepOutcome::Unchanged => "unchanged",
        StepOutcome::Skipped => "skipped",
        StepOutcome::Failed => "failed",
        StepOutcome::Cancelled => "stopped",
    };
    let detail = if detail.is_empty() { String::new() } else { format!(": {}", clean(detail)) };
    format!("{word:<9} {step}{detail} ({})", duration(elapsed))
}

/// Whether a finding has a line: passed ones and those not judged are only counted.
pub(super) fn is_told(finding: &Finding, detail: Detail) -> bool {
    detail >= Detail::Verbose
        || matches!(finding.outcome, FindingOutcome::Warning | FindingOutcome::Failed)
}

pub(super) fn finding_text(finding: &Finding) -> String {
    let word = match finding.outcome {
        FindingOutcome::Passed => "passed",
        FindingOutcome::Warning => "warning",
        FindingOutcome::Failed => "failed",
        FindingOutcome::NotJudged => "not judged",
    };
    let (message, place) = (clean(&finding.message), place_of(finding));
    let (source, code) = (clean(&finding.source), clean(&finding.code));
    format!("{word}: {message}{place} ({source} {code}){}", explanation(finding))
}

/// The finding's place, in brackets; empty without one.
pub(super) fn place_of(finding: &Finding) -> String {
    let place: Vec<String> = [
        finding.object.as_ref().map(ToString::to_string),
        finding.file.clone(),
        finding.pointer.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if place.is_empty() { String::new() } else { format!(" [{}]", clean(&place.join(" "))) }
}

/// Evidence and help, as lines below the finding.
pub(super) fn explanation(finding: &Finding) -> String {
    let mut text = String::new();
    for line in finding.evidence.iter().take(MOST_EVIDENCE) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n    {}", clean(line));
    }
    if let Some(help) = &finding.help {
        let _ = write!(text, "\n  help: {}", clean(help));
    }
    text
}

pub(super) fn change_word(change: ObjectChange) -> &'static str {
    match change {
        ObjectChange::Created => "created",
        ObjectChange::Configured => "configured",
        ObjectChange::Unchanged => "unchanged",
        ObjectChange::Deleted => "deleted",
        ObjectChange::Kept => "kept",
        ObjectChange::RolledBack => "rolled back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_model::object::ObjectRef;

    fn event(kind: EventKind) -> Event {
        Event { at_ms: 0, target: None, step: Some("apply".into()), kind }
    }

    #[test]
    fn foreign_text_is_escaped_wherever_it_stands() {
        let evil = "x\u{1b}[2J\u{9b}1m";
        let object = ObjectRef {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: None,
            name: evil.into(),
        };
        let finding = Finding {
            source: evil.into(),
            outcome: FindingOutcome::Failed,
            code: evil.into(),
            message: evil.into(),
            evidence: vec![evil.into()],
            help: Some(evil.into()),
            file: Some(evil.into()),
            pointer: None,
            object: Some(object.clone()),
        };
        let kinds = [
            EventKind::Finding(finding),
            EventKind::ObjectWaiting {
                object,
                state: Readiness::Failing,
                reason: evil.into(),
                message: evil.into(),
                replicas: None,
                since_ms: 0,
            },
            EventKind::StepOutput { line: evil.into() },
            EventKind::Note { level: Level::Warn, message: evil.into() },
            EventKind::StepFinished {
                outcome: StepOutcome::Failed,
                detail: evil.into(),
                elapsed_ms: 1,
            },
        ];
        for kind in kinds {
            let text = line_of(&event(kind), Detail::Verbose).unwrap();
            assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
        }
    }

    #[test]
    fn lines_of_several_targets_name_their_target() {
        let note = EventKind::Note { level: Level::Info, message: "x".into() };
        let event = Event { target: Some("kind".into()), ..event(note) };
        assert_eq!(marked(&event, "one\n  two"), "[kind] one\n[kind]   two");
        assert_eq!(marked(&Event { target: None, ..event }, "one\n  two"), "one\n  two");
    }

    #[test]
    fn quiet_output_shows_only_the_end() {
        let note = EventKind::Note { level: Level::Info, message: "x".into() };
        assert_eq!(line_of(&event(note), Detail::Quiet), None);
    }
}
