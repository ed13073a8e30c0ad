//! Programs of the user's machine: a logical name that the host resolves, never a path, never a shell.
//!
//! Every call needs a `[[requests.process-exec]]` entry whose program and argument shape match, and sees only
//! the variables that the entry names.

use crate::bindings::host::todohost::plugin::{process as host, types};
use crate::{Error, Label, Result};
use std::time::Duration;

pub use host::Source;

/// A program call, built like [`std::process::Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(types::Command);

impl Command {
    /// A call of this program without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self(types::Command {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            timeout_ms: None,
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.0.args.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.args.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable that the request allows.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.env.push(Label::new(key, value));
        self
    }

    /// The working folder, relative to the project; the project itself when not set.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<String>) -> Self {
        self.0.cwd = Some(folder.into());
        self
    }

    /// The host ends the program after this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// The program that is called.
    pub fn program(&self) -> &str {
        &self.0.program
    }

    /// The arguments so far.
    pub fn arguments(&self) -> &[String] {
        &self.0.args
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it is missing, not granted, or over its time. An exit code other than 0 is no error: see
    /// [`Output::success`].
    pub fn run(self) -> Result<Output> {
        host::run(&self.0, None)
    }

    /// Runs it to its end with these bytes as its input.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(self, stdin: &[u8]) -> Result<Output> {
        host::run(&self.0, Some(stdin))
    }

    /// Starts it and reads its output line by line.
    ///
    /// # Errors
    /// When it is missing or not granted.
    pub fn spawn(self) -> Result<Child> {
        Ok(Child(host::Child::spawn(&self.0)?))
    }
}

/// The host's form of a call, for answers that name one.
impl From<Command> for types::Command {
    fn from(command: Command) -> Self {
        command.0
    }
}

/// Runs calls of which each feeds the next one's input, inside the host: the bytes never pass the plugin.
///
/// # Errors
/// When one of them is missing, not granted, or over its time.
pub fn pipe(commands: impl IntoIterator<Item = Command>) -> Result<Output> {
    let commands: Vec<_> = commands.into_iter().map(|command| command.0).collect();
    host::pipe(&commands)
}

/// Runs a call whose output feeds several others at the same time, inside the host. Each is given with the entries of
/// the tar archive that it has already: those are left out of what it is fed with.
///
/// # Errors
/// When one of them is missing, not granted, or over its time.
pub fn distribute(
    source: &Command,
    sinks: impl IntoIterator<Item = (Command, Vec<String>)>,
) -> Result<Distributed> {
    let sinks: Vec<_> = sinks
        .into_iter()
        .map(|(command, without)| host::Sink { command: command.0, without })
        .collect();
    host::distribute(&source.0, &sinks)
}

/// The version of a program, if it is there and granted.
///
/// # Errors
/// When the program is there but cannot be asked.
pub fn version(program: &str) -> Result<Option<String>> {
    host::version(program)
}

/// What a program left, alone or as one of those that [`distribute`] runs.
pub use host::{Distributed, Fed, Output};

impl Output {
    /// Whether the program ended with exit code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its output as text; bytes that are no text become the replacement character.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its error output as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// An error that carries the last lines of the error output, or of the output where there are none.
    pub fn to_error(&self, code: impl Into<String>, message: impl Into<String>) -> Error {
        let stderr = self.stderr_text();
        let text = if stderr.trim().is_empty() { self.stdout_text() } else { stderr };
        Error::internal(code, message).because(last_lines(&text, 20))
    }
}

/// The last `count` lines that are not blank.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

/// One line of a running program's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which of its outputs it came from.
    pub source: Source,
    /// The line without its end.
    pub text: String,
}

/// A running program: an iterator over its lines. Dropping it ends the program.
#[derive(Debug)]
pub struct Child(host::Child);

impl Child {
    /// Waits for the end; `None` when a signal ended it.
    ///
    /// # Errors
    /// When the program was over its time.
    pub fn wait(&self) -> Result<Option<i32>> {
        self.0.wait()
    }

    /// Ends the program.
    pub fn kill(&self) {
        self.0.kill();
    }
}

impl Iterator for Child {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.next_line() {
            Ok(None) => None,
            Ok(Some((source, text))) => Some(Ok(Line { source, text })),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_the_order_of_its_arguments() {
        let command = Command::new("kind").arg("get").args(["clusters", "-q"]).env("A", "b");
        assert_eq!(command.program(), "kind");
        assert_eq!(command.arguments(), ["get", "clusters", "-q"]);
        let raw: types::Command = command.timeout(Duration::from_secs(2)).into();
        assert_eq!(raw.timeout_ms, Some(2000));
        assert_eq!(raw.env, [Label::new("A", "b")]);
    }

    #[test]
    fn the_error_of_an_output_carries_its_last_lines() {
        let output = Output {
            code: Some(1),
            stdout: b"out\n".to_vec(),
            stderr: Vec::new(),
            truncated: false,
        };
        assert!(!output.success());
        assert_eq!(output.to_error("a.b", "no").causes, ["out"]);
        let many = (0..30).map(|line| line.to_string()).collect::<Vec<_>>().join("\n\n");
        let lines = last_lines(&many, 20);
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], "10");
        assert_eq!(lines[19], "29");
    }
}
