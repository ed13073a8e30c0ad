//! Docker Desktop's own command: whether it runs, and starting it.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::log::Progress;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, Result};

/// What it says of itself while its engine does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desktop {
    /// It can be started.
    Stopped,
    /// It is on its way.
    Starting,
    /// There is no such command, as before 4.37, or it does not answer.
    Silent,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    status: String,
}

/// Asks it.
pub fn ask() -> Desktop {
    let output = Command::new("docker")
        .args(["desktop", "status", "--format", "json"])
        .timeout(Duration::from_secs(5))
        .run();
    output.map_or(Desktop::Silent, |output| read(&output.stdout_text()))
}

fn read(text: &str) -> Desktop {
    match serde_json::from_str::<Said>(text.trim()) {
        Ok(said) if said.status == "starting" => Desktop::Starting,
        // What it says of an engine that does not answer: stopped, or paused to save memory.
        Ok(_) => Desktop::Stopped,
        Err(_) => Desktop::Silent,
    }
}

/// Starts it, and waits until its engine runs.
///
/// # Errors
/// `docker-desktop.start-failed`, with what it says.
pub fn start() -> Result<()> {
    let progress = Progress::new("start Docker Desktop");
    progress.message("a minute, more after an update");
    let output = Command::new("docker")
        .args(["desktop", "start", "--timeout", "300"])
        .timeout(Duration::from_mins(6))
        .run()?;
    if output.success() {
        return Ok(());
    }
    let failed = output.to_error("docker-desktop.start-failed", "Docker Desktop did not start");
    Err(Error { kind: todohost_plugin::ErrorKind::Unavailable, ..failed }
        .help("start it by hand and see what it says; `docker desktop logs` shows more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words_are_understood() {
        assert_eq!(read(r#"{"Status":"stopped","SessionID":""}"#), Desktop::Stopped);
        assert_eq!(read(r#"{"Status":"paused"}"#), Desktop::Stopped);
        assert_eq!(read("{\"Status\":\"starting\",\"SessionID\":\"\"}\n"), Desktop::Starting);
        for text in
            ["", "docker: 'desktop' is not a docker command.", r#"{"Client":{},"Server":null}"#]
        {
            assert_eq!(read(text), Desktop::Silent, "{text}");
        }
    }
}
