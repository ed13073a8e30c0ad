//! Is the engine there? One cheap question, and what to tell a user whose engine is not.

use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, ErrorKind, Result};

/// What is known of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// It answers.
    Running(Facts),
    /// The client is there and the engine does not answer. The client knows its own operating system.
    Stopped {
        /// The client's operating system, as Go names it.
        os: Option<String>,
        /// What the client said.
        cause: String,
    },
    /// There is no `docker` program.
    Missing,
}

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The engine's version.
    pub version: String,
    /// Whether it says of itself that it is Docker Desktop's.
    pub desktop: bool,
    /// The platform of its containers, for example `linux/amd64`.
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

/// Asks the engine for its version.
///
/// # Errors
/// When `docker` may not be run at all; an engine that is not there is an answer.
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

/// The engine's facts.
///
/// # Errors
/// `docker.not-running` when it is stopped or not installed.
pub fn require() -> Result<Facts> {
    match ask()? {
        Engine::Running(facts) => Ok(facts),
        Engine::Stopped { os, cause } => Err(not_running(os.as_deref()).cause(cause)),
        Engine::Missing => Err(not_installed()),
    }
}

/// Even without an engine the client prints its own half of the answer.
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

/// Whether a program that uses the engine failed only because the engine does not answer.
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

/// The engine is installed, or at least its client is, and does not answer.
pub fn not_running(os: Option<&str>) -> Error {
    Error::unavailable("docker.not-running", "the Docker engine is not running").help(start(os))
}

fn not_installed() -> Error {
    Error::unavailable("docker.not-running", "Docker is not installed: there is no program `docker`").help(
        "install Docker Desktop (https://docs.docker.com/desktop), or on Linux the package docker.io \
         or docker-ce, then start it",
    )
}

fn start(os: Option<&str>) -> &'static str {
    match os {
        Some("darwin") => {
            "start Docker Desktop: `open -a Docker`, and wait until its whale stands still"
        }
        Some("windows") => {
            "start Docker Desktop from the Start menu, and wait until it says `Engine running`"
        }
        Some("linux") => {
            "start it: `sudo systemctl start docker`, or `systemctl --user start docker-desktop` for Docker \
             Desktop; `docker context ls` shows which engine is asked"
        }
        _ => {
            "start Docker Desktop, or on Linux type `sudo systemctl start docker`; `docker context ls` shows \
             which engine is asked"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";

    #[test]
    fn a_running_engine_names_its_platform() {
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
    fn a_stopped_engine_leaves_the_clients_half() {
        let engine = read(
            r#"{"Client":{"Version":"28.2.2","Os":"linux","Arch":"amd64"},"Server":null}"#,
            REFUSED,
        );
        assert_eq!(engine, Engine::Stopped { os: Some("linux".into()), cause: REFUSED.into() });
    }

    #[test]
    fn anything_else_is_a_stopped_engine_too() {
        assert_eq!(read("", REFUSED), Engine::Stopped { os: None, cause: REFUSED.into() });
        assert!(matches!(read("<html>", "\n"), Engine::Stopped { cause, .. } if !cause.is_empty()));
    }

    #[test]
    fn each_system_is_told_its_own_way() {
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
    fn the_client_says_so_in_several_ways() {
        assert!(says_not_running(REFUSED));
        assert!(says_not_running(
            "ERROR: failed to connect to the docker API at npipe:////./pipe/x"
        ));
        assert!(!says_not_running("Error response from daemon: No such image: a:b"));
    }
}
