//! State of the Docker engine, and errors with help for users of an engine that does not run.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, ErrorKind, Result};

/// State of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// The engine answers.
    Running(Facts),
    /// The program `docker` exists, but the engine does not answer.
    Stopped {
        /// Operating system of the program, as `GOOS`.
        os: Option<String>,
        /// Message of the program.
        cause: String,
    },
    /// The program `docker` does not exist.
    Missing,
}

/// Facts about a running engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Version of the engine.
    pub version: String,
    /// Whether the engine belongs to Docker Desktop.
    pub desktop: bool,
    /// Platform of its containers, for example `linux/amd64`.
    pub platform: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    client: Option<Side>,
    server: Option<Side>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Side {
    version: String,
    os: String,
    arch: String,
    platform: Option<Platform>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Platform {
    name: String,
}

/// Reads the state of the engine with `docker version`.
///
/// # Errors
/// Fails if `docker` is not granted. A missing or stopped engine is not an error.
pub fn ask() -> Result<Engine> {
    let command = Command::new("docker")
        .args(["version", "--format", "{{json .}}"])
        .timeout(Duration::from_secs(10));
    match command.run() {
        Ok(output) => Ok(read(&output.stdout_text(), &output.stderr_text())),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Engine::Missing),
        Err(error) if error.kind == ErrorKind::Timeout => {
            Ok(Engine::Stopped { os: None, cause: error.message })
        }
        Err(error) => Err(error),
    }
}

/// Returns the facts about a running engine.
///
/// # Errors
/// Fails with `docker.not-running` if the engine is stopped or not installed.
pub fn require() -> Result<Facts> {
    match ask()? {
        Engine::Running(facts) => Ok(facts),
        Engine::Stopped { os, cause } => Err(not_running(os.as_deref()).cause(cause)),
        Engine::Missing => Err(not_installed()),
    }
}

/// Parses the output of `docker version`, which has facts about the client even if the engine does not answer.
fn read(stdout: &str, stderr: &str) -> Engine {
    let version: Option<Version> = serde_json::from_str(stdout.trim()).ok();
    let cause = stderr.lines().map(str::trim).find(|line| !line.is_empty());
    let cause = cause.unwrap_or("the engine did not answer").to_owned();
    let Some(version) = version else { return Engine::Stopped { os: None, cause } };
    let Some(server) = version.server else {
        return Engine::Stopped { os: version.client.map(|client| client.os), cause };
    };
    Engine::Running(Facts {
        desktop: server
            .platform
            .is_some_and(|platform| platform.name.starts_with("Docker Desktop")),
        platform: format!("{}/{}", server.os, server.arch),
        version: server.version,
    })
}

/// Reports whether a program failed because the engine does not answer.
pub fn says_not_running(stderr: &str) -> bool {
    const SIGNS: [&str; 5] = [
        "Cannot connect to the Docker daemon",
        "Is the docker daemon running",
        "failed to connect to the docker API",
        "error during connect",
        "docker daemon is not running",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

/// Error about an engine that does not answer. `os` is the `GOOS` of the client, if it is known.
pub fn not_running(os: Option<&str>) -> Error {
    Error::unavailable("docker.not-running", "the Docker engine is not running").help(start(os))
}

fn not_installed() -> Error {
    Error::unavailable("docker.not-running", "Docker is not installed: cannot find the program `docker`").help(
        "install Docker Desktop (https://docs.docker.com/desktop), or on Linux the package docker.io \
         or docker-ce, then start it",
    )
}

fn start(os: Option<&str>) -> &'static str {
    match os {
        Some("darwin") => {
            "start Docker Desktop with `open -a Docker`, and wait until its icon stops moving"
        }
        Some("windows") => {
            "start Docker Desktop from the Start menu, and wait until it shows `Engine running`"
        }
        Some("linux") => {
            "run `sudo systemctl start docker`, or `systemctl --user start docker-desktop` for Docker Desktop; \
             `docker context ls` shows the selected engine"
        }
        _ => {
            "start Docker Desktop, or on Linux run `sudo systemctl start docker`; `docker context ls` shows the \
             selected engine"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";

    #[test]
    fn facts_of_a_running_engine_are_read() {
        let engine = read(
            r#"{"Client":{"Version":"28.2.2","Os":"darwin","Arch":"arm64"},"Server":{"Platform":
                {"Name":"Docker Desktop 4.40.0 (187762)"},"Version":"28.0.4","Os":"linux","Arch":"arm64"}}"#,
            "",
        );
        let facts =
            Facts { version: "28.0.4".into(), desktop: true, platform: "linux/arm64".into() };
        assert_eq!(engine, Engine::Running(facts));
    }

    #[test]
    fn stopped_engine_has_the_operating_system_of_the_client() {
        let engine = read(
            r#"{"Client":{"Version":"28.2.2","Os":"linux","Arch":"amd64"},"Server":null}"#,
            REFUSED,
        );
        assert_eq!(engine, Engine::Stopped { os: Some("linux".into()), cause: REFUSED.into() });
    }

    #[test]
    fn malformed_output_counts_as_stopped_engine() {
        assert_eq!(read("", REFUSED), Engine::Stopped { os: None, cause: REFUSED.into() });
        assert!(matches!(read("<html>", "\n"), Engine::Stopped { cause, .. } if !cause.is_empty()));
    }

    #[test]
    fn help_depends_on_the_operating_system() {
        for (os, part) in [
            (Some("darwin"), "open -a Docker"),
            (Some("windows"), "Start menu"),
            (Some("linux"), "systemctl start docker"),
            (None, "Docker Desktop"),
        ] {
            let error = not_running(os);
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert!(error.help.unwrap().contains(part));
        }
    }

    #[test]
    fn messages_about_a_stopped_engine_are_recognised() {
        assert!(says_not_running(REFUSED));
        assert!(says_not_running(
            "ERROR: failed to connect to the docker API at npipe:////./pipe/x"
        ));
        assert!(!says_not_running("Error response from daemon: No such image: a:b"));
    }
}
