//! Starts or creates a cluster, and reports progress from minikube's events.

use crate::Options;
use crate::status;
use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::log::Progress;
use todohost_plugin::process::{Command, last_lines};
use todohost_plugin::{Error, ErrorKind, Result};

/// Runs `minikube start`. The options for its nodes apply only to a new cluster.
///
/// # Errors
/// Fails with `minikube.not-installed`, and with `minikube.start-failed` and minikube's message and advice.
pub fn start(options: &Options, is_new: bool) -> Result<()> {
    let title = if is_new { "create" } else { "start" };
    let progress = Progress::new(&format!("{title} the minikube cluster {}", options.profile));
    let command = Command::new("minikube")
        .args(["start", "--output", "json", "--interactive=false", "--keep-context"])
        .args(["--profile", &options.profile])
        .args(if is_new { flags(options) } else { Vec::new() })
        .timeout(Duration::from_mins(20));
    let mut child = command.spawn().map_err(|error| {
        if error.kind == ErrorKind::NotFound { status::not_installed() } else { error }
    })?;
    let mut lines = Vec::new();
    let mut failure = None;
    for line in &mut child {
        let line = line?;
        match parse(&line.text) {
            Some(Report::Step(step)) => progress.message(&step),
            Some(Report::Failure(reported)) => failure = Some(reported),
            Some(Report::Other) => {}
            None => lines.push(line.text),
        }
    }
    if child.wait()? == Some(0) {
        return Ok(());
    }
    let by_hand = format!("try it by hand: minikube start --profile {}", options.profile);
    let failed = |message: String| {
        Error::unavailable(
            "minikube.start-failed",
            format!("the minikube cluster {} did not start: {message}", options.profile),
        )
    };
    Err(match failure {
        Some(failure) => {
            let help = if failure.advice.is_empty() { by_hand } else { failure.advice };
            let mut lines = failure.message.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or(UNKNOWN);
            failed(first.to_owned()).because(lines.map(str::to_owned)).help(help)
        }
        None => failed(UNKNOWN.to_owned()).because(last_lines(&lines.join("\n"), 20)).help(by_hand),
    })
}

const UNKNOWN: &str = "minikube reported no cause";

/// Flags for the nodes of a new cluster.
fn flags(options: &Options) -> Vec<String> {
    let flags = [
        ("driver", options.driver.clone()),
        ("container-runtime", options.container_runtime.clone()),
        ("kubernetes-version", options.kubernetes_version.clone()),
        ("cpus", options.cpus.map(|cpus| cpus.to_string())),
        ("memory", options.memory.clone()),
    ];
    flags.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?))).collect()
}

/// A parsed line of minikube's output.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    /// Current step.
    Step(String),
    /// Cause of a failure.
    Failure(Failure),
    /// Another event.
    Other,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Default)]
#[serde(default)]
struct Failure {
    message: String,
    advice: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: serde_json::Value,
}

/// Parses a line, which is an event of minikube, or output of a program that minikube ran (`None`).
fn parse(line: &str) -> Option<Report> {
    let event: Event = serde_json::from_str(line.trim()).ok()?;
    let text = |name: &str| event.data[name].as_str().unwrap_or_default().trim().to_owned();
    Some(match event.kind.rsplit_once("minikube.").map(|(_, kind)| kind) {
        Some("step") => Report::Step(text("name")),
        Some("download.progress") => {
            let share = text("progress").parse::<f64>().unwrap_or_default() * 100.0;
            Report::Step(format!("download {} ({share:.0} %)", text("artifact")))
        }
        Some("error") => {
            Report::Failure(Failure { message: text("message"), advice: text("advice") })
        }
        _ => Report::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_minikube_are_parsed() {
        let step = r#"{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.step","datacontenttype":"application/json","data":{"currentstep":"8","message":"Creating docker container (CPUs=2, Memory=4096MB) ...\n","name":"Creating Container","totalsteps":"19"}}"#;
        assert_eq!(parse(step), Some(Report::Step("Creating Container".into())));
        let download = r#"{"type":"io.k8s.sigs.minikube.download.progress","data":{"artifact":"preloaded-images-k8s","progress":"0.4211","currentstep":"3"}}"#;
        assert_eq!(
            parse(download),
            Some(Report::Step("download preloaded-images-k8s (42 %)".into()))
        );
        let failure = r#"{"type":"io.k8s.sigs.minikube.error","data":{"advice":"start the docker service","exitcode":"69","issues":"","message":"provider not running","name":"PROVIDER_DOCKER_NOT_RUNNING","url":""}}"#;
        let expected = Failure {
            message: "provider not running".into(),
            advice: "start the docker service".into(),
        };
        assert_eq!(parse(failure), Some(Report::Failure(expected)));
        assert_eq!(parse(r#"{"type":"io.k8s.sigs.minikube.info","data":{}}"#), Some(Report::Other));
        assert_eq!(parse("! something else"), None);
    }

    #[test]
    fn options_become_flags() {
        assert_eq!(flags(&Options::default()), Vec::<String>::new());
        let options = Options {
            driver: Some("docker".into()),
            container_runtime: Some("containerd".into()),
            cpus: Some(2),
            ..Options::default()
        };
        assert_eq!(
            flags(&options),
            ["--driver=docker", "--container-runtime=containerd", "--cpus=2"]
        );
    }
}
