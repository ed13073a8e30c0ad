//! The command `docker desktop`: reads the status of Docker Desktop and starts it.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::log::Progress;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, Result};

/// Status of Docker Desktop while its engine does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desktop {
    /// Docker Desktop can be started.
    Stopped,
    /// Docker Desktop is starting.
    Starting,
    /// The command does not answer, or does not exist, as before version 4.37.
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DesktopStatus {
    status: String,
}

/// Reads the status of Docker Desktop.
pub fn detect() -> Desktop {
    let output = Command::new("docker")
        .args(["desktop", "status", "--format", "json"])
        .timeout(Duration::from_secs(5))
        .run();
    output.map_or(Desktop::Unknown, |output| parse(&output.stdout_text()))
}

fn parse(text: &str) -> Desktop {
    match serde_json::from_str::<DesktopStatus>(text.trim()) {
        Ok(desktop) if desktop.status == "starting" => Desktop::Starting,
        // While the engine does not answer, the other statuses are stopped, and paused to save memory.
        Ok(_) => Desktop::Stopped,
        Err(_) => Desktop::Unknown,
    }
}

/// Starts Docker Desktop and waits until its engine runs.
///
/// # Errors
/// Fails with `docker-desktop.start-failed` and the last lines of the command's output.
pub fn start() -> Result<()> {
    let progress = Progress::new("start Docker Desktop");
    progress.message("takes about a minute, longer after an update");
    let output = Command::new("docker")
        .args(["desktop", "start", "--timeout", "300"])
        .timeout(Duration::from_mins(6))
        .run()?;
    if output.success() {
        return Ok(());
    }
    let failed = output.to_error("docker-desktop.start-failed", "Docker Desktop did not start");
    Err(Error { kind: todohost_plugin::ErrorKind::Unavailable, ..failed }.help(
        "start Docker Desktop by hand and read its message; `docker desktop logs` shows details",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_of_docker_desktop_is_parsed() {
        assert_eq!(parse(r#"{"Status":"stopped","SessionID":""}"#), Desktop::Stopped);
        assert_eq!(parse(r#"{"Status":"paused"}"#), Desktop::Stopped);
        assert_eq!(parse("{\"Status\":\"starting\",\"SessionID\":\"\"}\n"), Desktop::Starting);
        for text in
            ["", "docker: 'desktop' is not a docker command.", r#"{"Client":{},"Server":null}"#]
        {
            assert_eq!(parse(text), Desktop::Unknown, "{text}");
        }
    }
}
