//! Programs on the user's machine.
//!
//! A plugin calls a program by a logical name, which the host resolves; paths and shells are not available. Every call
//! needs an entry `[[requests.process-exec]]` that matches the program and the shape of its arguments. The program
//! sees only the environment variables listed in that entry.
//!
//! ```no_run
//! use std::time::Duration;
//! use todohost_plugin::Result;
//! use todohost_plugin::process::Command;
//!
//! /// Needs the grant `process-exec` for `kind get clusters`.
//! fn clusters() -> Result<Vec<String>> {
//!     let output = Command::new("kind").args(["get", "clusters"]).timeout(Duration::from_secs(10)).run()?;
//!     if !output.success() {
//!         return Err(output.to_error("kind.clusters-unknown", "cannot list the clusters of kind"));
//!     }
//!     Ok(output.stdout_text().lines().map(str::to_owned).collect())
//! }
//! ```

use crate::bindings::host::todohost::plugin::{process as host, types};
use crate::{Error, Label, Result};
use std::time::Duration;

pub use host::Source;

/// A program call, built like [`std::process::Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(types::Command);

impl Command {
    /// A call of a program, without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self(types::Command {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            timeout_ms: None,
        })
    }

    /// Appends one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.0.args.push(argument.into());
        self
    }

    /// Appends several arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.args.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable; the request must list it.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.env.push(Label::new(key, value));
        self
    }

    /// Sets the working folder, relative to the project's folder, which is the default.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<String>) -> Self {
        self.0.cwd = Some(folder.into());
        self
    }

    /// Sets the time after which the host kills the program.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// The logical name of the program.
    pub fn program(&self) -> &str {
        &self.0.program
    }

    /// The arguments so far.
    pub fn arguments(&self) -> &[String] {
        &self.0.args
    }

    /// Runs the program and waits until it exits.
    ///
    /// # Errors
    /// Fails if the program is missing, not granted, or exceeds its timeout. A nonzero exit code is not an error; check
    /// [`Output::success`].
    pub fn run(self) -> Result<Output> {
        host::run(&self.0, None)
    }

    /// Runs the program with these bytes on its standard input, and waits until it exits.
    ///
    /// # Errors
    /// Fails like [`run`](Self::run).
    pub fn run_with(self, stdin: &[u8]) -> Result<Output> {
        host::run(&self.0, Some(stdin))
    }

    /// Starts the program; its output is read line by line.
    ///
    /// # Errors
    /// Fails if the program is missing or not granted.
    pub fn spawn(self) -> Result<Child> {
        Ok(Child(host::Child::spawn(&self.0)?))
    }
}

/// Converts a call into the WIT record, for example for [`Connection::Command`](crate::target::Connection::Command).
impl From<Command> for types::Command {
    fn from(command: Command) -> Self {
        command.0
    }
}

/// Runs programs as a pipeline: the output of each is the input of the next. The host passes the bytes on; they never
/// enter the plugin.
///
/// # Errors
/// Fails if a program is missing, not granted, or exceeds its timeout.
pub fn pipe(commands: impl IntoIterator<Item = Command>) -> Result<Output> {
    let commands: Vec<_> = commands.into_iter().map(|command| command.0).collect();
    host::pipe(&commands)
}

/// Runs a program and copies its output to the inputs of several other programs (sinks) at the same time, inside the
/// host. If the output is a tar archive, the host leaves out the entries listed with a sink, because that sink already
/// has them.
///
/// # Errors
/// Fails if a program is missing, not granted, or exceeds its timeout.
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

/// Returns the version of a program, or `None` if the program is not installed.
///
/// # Errors
/// Fails if the program does not report its version.
pub fn version(program: &str) -> Result<Option<String>> {
    host::version(program)
}

/// Results of programs: of one program, of one sink of [`distribute`], and of all programs of [`distribute`].
pub use host::{Distributed, Fed as SinkOutput, Output};

impl Output {
    /// Reports whether the program exited with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The standard output as text; invalid UTF-8 is replaced by U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The standard error as text; invalid UTF-8 is replaced by U+FFFD.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// An error with the last lines of standard error as causes, or of standard output if standard error is empty.
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

/// A line printed by a running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stream on which the line arrived.
    pub source: Source,
    /// The line without its line break.
    pub text: String,
}

/// A running program, and an iterator over the lines that it prints. Dropping it kills the program.
#[derive(Debug)]
pub struct Child(host::Child);

impl Child {
    /// Waits until the program exits and returns its exit code, or `None` if a signal killed it.
    ///
    /// # Errors
    /// Fails if the program exceeds its timeout.
    pub fn wait(&self) -> Result<Option<i32>> {
        self.0.wait()
    }

    /// Kills the program and the processes that it started.
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
    fn command_keeps_the_order_of_arguments() {
        let command = Command::new("kind").arg("get").args(["clusters", "-q"]).env("A", "b");
        assert_eq!(command.program(), "kind");
        assert_eq!(command.arguments(), ["get", "clusters", "-q"]);
        let raw: types::Command = command.timeout(Duration::from_secs(2)).into();
        assert_eq!(raw.timeout_ms, Some(2000));
        assert_eq!(raw.env, [Label::new("A", "b")]);
    }

    #[test]
    fn error_of_an_output_has_its_last_lines_as_causes() {
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
