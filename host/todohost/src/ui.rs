//! Output: renderers of the event stream, errors, and data on stdout.
//!
//! Owns the terminal. Three renderers show the same events (invariant I6): human with live lines on a
//! terminal, plain text without one, JSON lines for machines. Nothing here decides anything.

mod columns;
mod difference;
mod error;
mod human;
mod json;
mod judgements;
mod plain;
mod questions;
mod targets;
mod waiting;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use todohost_model::event::{Event, EventKind};
use todohost_model::text::clean;

pub use columns::columns;
pub use difference::difference_text;
pub use error::render_failure;
pub use questions::Questions;

/// Live lines that count seconds are drawn as often.
const TICK: Duration = Duration::from_secs(1);

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Live lines and colours, on a terminal.
    Human,
    /// One line per event.
    Plain,
    /// One JSON document per event, on stdout.
    Json,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Only the end.
    Quiet,
    /// Progress and results.
    Normal,
    /// Calls and output of tools, too.
    Verbose,
}

/// The style for a standard error that is a terminal or not.
pub fn pick_style(json: bool, plain: bool) -> Style {
    if json {
        Style::Json
    } else if plain || !std::io::stderr().is_terminal() {
        Style::Plain
    } else {
        Style::Human
    }
}

/// Shows events and asks questions until the run is over or the bus is dropped. Later events are dropped.
pub fn show(
    style: Style,
    detail: Detail,
    mut events: UnboundedReceiver<Event>,
) -> (JoinHandle<()>, Questions) {
    let mut renderer: Box<dyn Renderer> = match style {
        Style::Human => Box::new(human::Human::new(detail)),
        Style::Plain => Box::new(plain::Plain::new(detail)),
        Style::Json => Box::new(json::Json { detail }),
    };
    let (questions, mut asked) = Questions::new();
    let screen = tokio::spawn(async move {
        let mut lines = questions::Lines::default();
        loop {
            tokio::select! {
                // Show earlier events before the question.
                biased;
                event = events.recv() => {
                    let Some(event) = event else { break };
                    renderer.show(&event);
                    if matches!(event.kind, EventKind::RunFinished { .. }) {
                        break;
                    }
                }
                Some(question) = asked.recv() => {
                    renderer.pause();
                    question.ask(&mut lines).await;
                    renderer.resume();
                }
                () = sleep(TICK) => renderer.tick(),
            }
        }
        renderer.end();
    });
    (screen, questions)
}

trait Renderer: Send {
    fn show(&mut self, event: &Event);
    /// No event came for a while: redraw the lines that count seconds.
    fn tick(&mut self) {}
    /// Nothing is drawn until [`resume`](Self::resume): the user is asked something.
    fn pause(&mut self) {}
    fn resume(&mut self) {}
    fn end(&mut self) {}
}

/// Writes data for the user or the next program to stdout.
///
/// # Errors
/// If stdout is closed.
pub fn data(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Is stdout a terminal that shows colours?
pub fn data_has_colours(plain: bool) -> bool {
    !plain && std::io::stdout().is_terminal()
}

/// Writes a line for the user to stderr. A closed stderr is ignored.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Asks for a secret on the terminal, without echo. `None` without a terminal.
pub fn ask_secret(question: &str) -> Option<String> {
    let terminal = console::Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return None;
    }
    terminal.write_str(&clean(question)).ok()?;
    terminal.read_secure_line().ok()
}
