//! Starting or creating a cluster: minikube's own account of it, step by step.

use crate::Options;
use crate::status;
use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::log::Progress;
use todohost_plugin::process::{Command, last_lines};
use todohost_plugin::{Error, ErrorKind, Result};

/// Runs `minikube start` to its end. An existing cluster keeps what it was made with; the options are for a new one.
///
/// # Errors
/// `minikube.not-installed`, or `minikube.start-failed` with what minikube says and advises.
pub fn start(options: &Options, is_new: bool) -> Result<()> {
    let title = if is_new { "create" } else { "start" };
    let progress = Progress::new(&format!("{title} the minikube cluster {}", options.profile));
    let command = Command::new("minikube")
        .args(["start", "--output", "json", "--interactive=false", "--keep-context"])
        .args(["--profile", &options.profile])
        .args(if is_new { shape(options) } else { Vec::new() })
        .timeout(Duration::from_mins(20));
    let mut child = command.spawn().map_err(|error| {
        if error.kind == ErrorKind::NotFound { status::not_installed() } else { error }
    })?;
    let mut said = Vec::new();
    let mut told = None;
    for line in &mut child {
        let line = line?;
        match read(&line.text) {
            Some(Said::Step(step)) => progress.message(&step),
            Some(Said::Failure(failure)) => told = Some(failure),
            Some(Said::Other) => {}
            None => said.push(line.text),
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
    Err(match told {
        Some(failure) => {
            let help = if failure.advice.is_empty() { by_hand } else { failure.advice };
            let mut lines = failure.message.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or("it does not say why");
            failed(first.to_owned()).because(lines.map(str::to_owned)).help(help)
        }
        None => failed("it does not say why".to_owned())
            .because(last_lines(&said.join("\n"), 20))
            .help(by_hand),
    })
}

/// What a new cluster is made of.
fn shape(options: &Options) -> Vec<String> {
    let flags = [
        ("driver", options.driver.clone()),
        ("container-runtime", options.container_runtime.clone()),
        ("kubernetes-version", options.kubernetes_version.clone()),
        ("cpus", options.cpus.map(|cpus| cpus.to_string())),
        ("memory", options.memory.clone()),
    ];
    flags.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?))).collect()
}

/// A line of minikube's account.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// What it does now.
    Step(String),
    /// Why it gives up.
    Failure(Failure),
    /// Something else.
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

/// One line is one event; what is none was printed by something that minikube ran.
fn read(line: &str) -> Option<Said> {
    let event: Event = serde_json::from_str(line.trim()).ok()?;
    let text = |name: &str| event.data[name].as_str().unwrap_or_default().trim().to_owned();
    Some(match event.kind.rsplit_once("minikube.").map(|(_, kind)| kind) {
        Some("step") => Said::Step(text("name")),
        Some("download.progress") => {
            let share = text("progress").parse::<f64>().unwrap_or_default() * 100.0;
            Said::Step(format!("download {} ({share:.0} %)", text("artifact")))
        }
        Some("error") => {
            Said::Failure(Failure { message: text("message"), advice: text("advice") })
        }
        _ => Said::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_read_line_by_line() {
        let step = r#"{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.step","datacontenttype":"application/json","data":{"currentstep":"8","message":"Creating docker container (CPUs=2, Memory=4096MB) ...\n","name":"Creating Container","totalsteps":"19"}}"#;
        assert_eq!(read(step), Some(Said::Step("Creating Container".into())));
        let download = r#"{"type":"io.k8s.sigs.minikube.download.progress","data":{"artifact":"preloaded-images-k8s","progress":"0.4211","currentstep":"3"}}"#;
        assert_eq!(read(download), Some(Said::Step("download preloaded-images-k8s (42 %)".into())));
        let failure = r#"{"type":"io.k8s.sigs.minikube.error","data":{"advice":"start the docker service","exitcode":"69","issues":"","message":"provider not running","name":"PROVIDER_DOCKER_NOT_RUNNING","url":""}}"#;
        let expected = Failure {
            message: "provider not running".into(),
            advice: "start the docker service".into(),
        };
        assert_eq!(read(failure), Some(Said::Failure(expected)));
        assert_eq!(read(r#"{"type":"io.k8s.sigs.minikube.info","data":{}}"#), Some(Said::Other));
        assert_eq!(read("! something else"), None);
    }

    #[test]
    fn only_a_new_cluster_is_given_a_shape() {
        assert_eq!(shape(&Options::default()), Vec::<String>::new());
        let options = Options {
            driver: Some("docker".into()),
            container_runtime: Some("containerd".into()),
            cpus: Some(2),
            ..Options::default()
        };
        assert_eq!(
            shape(&options),
            ["--driver=docker", "--container-runtime=containerd", "--cpus=2"]
        );
    }
}
