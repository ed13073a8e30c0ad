//! Live lines, the table of waiting objects, and colours on a terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::{Term, style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::judgements::Judgements;
use super::waiting::Waiting;
use super::{Detail, Renderer, plain, targets};
use todohost_model::event::{Event, EventKind, FindingOutcome, StepOutcome};
use todohost_model::text::{clean, duration};

const TICK: Duration = Duration::from_millis(100);

/// A step's line, and the lines of its progress.
struct StepLine {
    bar: ProgressBar,
    target: Option<String>,
    /// Its place among the lines that there are: later ones have a higher one.
    number: usize,
    title: String,
    inner: BTreeMap<u64, ProgressBar>,
    waiting: Waiting,
    /// Lines of the table of waiting objects.
    table: Vec<ProgressBar>,
}

pub(super) struct Human {
    detail: Detail,
    lines: MultiProgress,
    steps: BTreeMap<String, StepLine>,
    judgements: Judgements,
}

impl Human {
    pub(super) fn new(detail: Detail) -> Self {
        let judgements = Judgements::new(detail);
        Self { detail, lines: MultiProgress::new(), steps: BTreeMap::new(), judgements }
    }

    fn say(&self, text: &str) {
        // A terminal that went away does not stop the deploy.
        let _ = self.lines.println(text);
    }

    /// A line below those of the same target, so that several stay side by side, each with its own.
    fn new_line(&self, target: Option<&str>) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_style(step_style());
        let of_target = |step: &&StepLine| step.target.as_deref() == target;
        match self.steps.values().filter(of_target).max_by_key(|step| step.number) {
            Some(step) => {
                let inner = step.inner.values().next();
                self.lines.insert_after(step.table.last().or(inner).unwrap_or(&step.bar), bar)
            }
            None => self.lines.add(bar),
        }
    }

    fn progress(&mut self, key: &str, id: u64, message: &str, counts: (u64, Option<u64>, bool)) {
        let (done, total, closed) = counts;
        let Some(step) = self.steps.get_mut(key) else { return };
        if closed {
            if let Some(bar) = step.inner.remove(&id) {
                bar.finish_and_clear();
                self.lines.remove(&bar);
            }
            return;
        }
        let bar = step.inner.entry(id).or_insert_with(|| {
            let bar = ProgressBar::new(total.unwrap_or(0)).with_style(inner_style(total.is_some()));
            self.lines.insert_after(&step.bar, bar)
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.set_message(clean(message).into_owned());
    }

    fn say_judgements(&mut self) {
        if let Some(text) = self.judgements.text(true) {
            self.say(&text);
        }
    }

    /// Draws the table of a step's waiting objects.
    fn draw_table(&mut self, key: &str) {
        let Some(step) = self.steps.get_mut(key) else { return };
        let (height, width) = Term::stderr().size();
        // Half of the terminal is for the other lines.
        let most = usize::from(height / 2).max(4);
        let lines = step.waiting.lines(usize::from(width), most, Instant::now());
        for bar in step.table.drain(lines.len().min(step.table.len())..) {
            bar.finish_and_clear();
            self.lines.remove(&bar);
        }
        while step.table.len() < lines.len() {
            let bar = ProgressBar::new_spinner().with_style(styled("{msg}"));
            let above = step.table.last().unwrap_or(&step.bar);
            step.table.push(self.lines.insert_after(above, bar));
        }
        for (bar, line) in step.table.iter().zip(lines) {
            bar.set_message(line);
        }
        step.bar.set_message(step.waiting.summary());
    }

    fn finish(&mut self, key: &str, outcome: StepOutcome, detail: &str, elapsed_ms: u64) {
        let title = match self.steps.remove(key) {
            None => key.trim_start_matches('/').to_owned(),
            Some(step) => {
                for bar in step.inner.values().chain(&step.table) {
                    bar.finish_and_clear();
                    self.lines.remove(bar);
                }
                step.bar.finish_and_clear();
                self.lines.remove(&step.bar);
                step.title
            }
        };
        let mark = match outcome {
            StepOutcome::Done => style("✔").green(),
            StepOutcome::Unchanged => style("=").cyan(),
            StepOutcome::Skipped => style("-").dim(),
            StepOutcome::Failed => style("✘").red().bold(),
            StepOutcome::Cancelled => style("■").yellow(),
        };
        if outcome == StepOutcome::Skipped && self.detail < Detail::Verbose {
            return;
        }
        let detail = if detail.is_empty() { String::new() } else { format!("  {}", clean(detail)) };
        let elapsed = style(duration(elapsed_ms)).dim();
        self.say(&format!("{mark} {title}{} {elapsed}", style(detail).dim()));
    }
}

impl Renderer for Human {
    fn show(&mut self, event: &Event) {
        let key = format!(
            "{}/{}",
            event.target.as_deref().unwrap_or_default(),
            event.step.as_deref().unwrap_or_default()
        );
        if self.detail == Detail::Quiet && !matches!(event.kind, EventKind::RunFinished { .. }) {
            return;
        }
        if self.judgements.take(event) {
            return;
        }
        match &event.kind {
            EventKind::StepStarted { title } => {
                let title = plain::marked(event, &clean(title));
                let bar = self.new_line(event.target.as_deref());
                bar.set_prefix(title.clone());
                bar.enable_steady_tick(TICK);
                let number = self.steps.values().map(|step| step.number + 1).max();
                let line = StepLine {
                    bar,
                    number: number.unwrap_or_default(),
                    target: event.target.clone(),
                    title,
                    inner: BTreeMap::new(),
                    waiting: Waiting::default(),
                    table: Vec::new(),
                };
                self.steps.insert(key, line);
            }
            EventKind::StepProgress { id, message, done, total, closed } => {
                self.progress(&key, *id, message, (*done, *total, *closed));
            }
            EventKind::StepFinished { outcome, detail, elapsed_ms } => {
                self.finish(&key, *outcome, detail, *elapsed_ms);
            }
            EventKind::ObjectWaiting { object, state, message, replicas, since_ms, .. } => {
                if let Some(step) = self.steps.get_mut(&key) {
                    let age = Duration::from_millis(event.at_ms.saturating_sub(*since_ms));
                    let since = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                    step.waiting.note(object, *state, message, *replicas, since);
                }
                self.draw_table(&key);
            }
            EventKind::ObjectUses(usage) if self.detail < Detail::Verbose => {
                if let Some(step) = self.steps.get_mut(&key) {
                    step.waiting.note_uses(usage);
                }
                self.draw_table(&key);
            }
            EventKind::Finding(finding) => {
                if !plain::is_told(finding, self.detail) {
                    return;
                }
                let text = plain::marked(event, &plain::finding_text(finding));
                let text = match finding.outcome {
                    FindingOutcome::Failed => style(text).red(),
                    FindingOutcome::Warning => style(text).yellow(),
                    _ => style(text),
                };
                self.say(&text.to_string());
            }
            EventKind::RunFinished { error, summary, addresses, targets, .. } => {
                self.say_judgements();
                if let Some(text) = targets::text(targets, true) {
                    self.say(text.trim_end());
                }
                if error.is_some() {
                    // It is the last word, once the screen is done.
                    return;
                }
                self.say(&style(clean(summary)).green().bold().to_string());
                for address in addresses.iter().filter(|_| targets.len() < 2) {
                    let address = clean(address);
                    self.say(&format!("  {}", style(address).underlined()));
                }
            }
            _ => {
                if let Some(text) = plain::line_of(event, self.detail) {
                    self.say(&plain::marked(event, &text));
                }
            }
        }
    }

    fn tick(&mut self) {
        let waiting: Vec<String> = self
            .steps
            .iter()
            .filter(|(_, step)| !step.table.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            self.draw_table(&key);
        }
    }

    fn pause(&mut self) {
        for step in self.steps.values() {
            step.bar.disable_steady_tick();
        }
        let _ = self.lines.clear();
    }

    fn resume(&mut self) {
        for step in self.steps.values() {
            step.bar.enable_steady_tick(TICK);
        }
    }

    fn end(&mut self) {
        self.say_judgements();
        let _ = self.lines.clear();
    }
}

fn step_style() -> ProgressStyle {
    styled("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}")
}

fn inner_style(counted: bool) -> ProgressStyle {
    if counted {
        styled("    {bar:24.cyan/dim} {pos}/{len} {wide_msg}")
    } else {
        styled("    {wide_msg}")
    }
}

fn styled(template: &str) -> ProgressStyle {
    // The templates are fixed and right; a default bar beats none.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
