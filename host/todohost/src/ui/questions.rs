//! Questions to the user, on the terminal, one after the other.
//!
//! The live display stands still during a question. Only a clear yes counts as consent: an empty line, the end of input,
//! Ctrl-C and silence do not. The caller owns the wording and the consequences.

use std::io::IsTerminal as _;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use todohost_engine::Ask;
use todohost_model::text::clean;

/// No answer within this time is a no.
const PATIENCE: Duration = Duration::from_mins(10);

/// Puts questions to the user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Questions {
    sender: mpsc::UnboundedSender<Question>,
}

/// One that waits to be asked.
#[derive(Debug)]
pub(super) struct Question {
    text: String,
    answer: oneshot::Sender<bool>,
}

impl Questions {
    /// The sending end, and the end that asks.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Question>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, receiver)
    }
}

#[async_trait]
impl Ask for Questions {
    /// Asks after everything that was reported before.
    async fn confirm(&self, question: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.sender.send(Question { text: clean(question).into_owned(), answer }).ok()?;
        answered.await.ok()
    }
}

impl Question {
    /// Asks it. Nothing else may be written until this is over.
    pub(super) async fn ask(mut self, lines: &mut Lines) {
        let terminal = console::Term::stderr();
        // A terminal that went away answers nothing.
        let _ = terminal.write_str(&format!("{} [y/N] ", self.text));
        let line = tokio::select! {
            line = lines.next() => line,
            () = self.answer.closed() => None,
            () = tokio::time::sleep(PATIENCE) => None,
        };
        if line.is_none() {
            // The line of the question was not ended.
            let _ = terminal.write_line("");
        }
        // The asker may have stopped waiting.
        let _ = self.answer.send(line.is_some_and(|line| is_yes(&line)));
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// The typed lines. A line that arrives after its question was withdrawn answers the next one, since it was typed below
/// that.
#[derive(Default)]
pub(super) struct Lines {
    reading: Option<JoinHandle<Option<String>>>,
}

impl Lines {
    /// The next line; `None` at the end of input.
    async fn next(&mut self) -> Option<String> {
        let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(read));
        let line = reading.await.ok().flatten();
        self.reading = None;
        line
    }
}

fn read() -> Option<String> {
    let mut line = String::new();
    let length = std::io::stdin().read_line(&mut line).ok()?;
    (length > 0).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        for line in ["y\n", "Y\n", "yes\r\n", " YES \n"] {
            assert!(is_yes(line), "{line:?}");
        }
        for line in ["", "\n", "n\n", "no\n", "yn\n", "yes please\n", "\u{3}\n", "ye\n"] {
            assert!(!is_yes(line), "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_withdrawn_question_ends() {
        let (answer, answered) = oneshot::channel();
        drop(answered);
        // No line is typed: without an asker it would wait for one.
        let reading = tokio::spawn(std::future::pending());
        let mut lines = Lines { reading: Some(reading) };
        Question { text: "really?".to_owned(), answer }.ask(&mut lines).await;
        assert!(lines.reading.is_some(), "the line still comes, for the next one");
    }
}
