//! State of a cluster, from its containers if it has any, else from `minikube status`.

use crate::profile::Profile;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use todohost_docker_engine::{self as engine, node};
use todohost_plugin::process::Command;
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;
use todohost_plugin::{Error, Result};

/// State of all nodes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// All nodes run, and no problem of Kubernetes is known.
    Running,
    /// This number of nodes run.
    Some(usize),
    /// All nodes are stopped.
    Stopped,
    /// The profile exists, but its nodes do not.
    Gone,
    /// The nodes started less than a minute ago, and Kubernetes does not answer yet.
    Starting,
    /// The nodes run, but Kubernetes is paused.
    Paused,
    /// The nodes run, but have this problem.
    Unhealthy(String),
    /// The Docker engine of the nodes does not answer.
    EngineOff(String),
}

/// Reads the state of the nodes. The engine answers ten times as fast as minikube, so it is used for containers.
///
/// # Errors
/// Fails if neither the engine nor minikube reports the state.
pub fn nodes(profile: &Profile) -> Result<Nodes> {
    if profile.in_docker() {
        return containers(profile);
    }
    reported(profile)
}

/// Reads the state with `minikube status`.
fn reported(profile: &Profile) -> Result<Nodes> {
    let output = Command::new("minikube")
        .args(["status", "--output", "json", "--profile", &profile.name])
        .timeout(Duration::from_secs(20))
        .run()?;
    // A nonzero exit code means that a part does not run, which the output describes.
    Ok(parse(&output.stdout_text()))
}

fn containers(profile: &Profile) -> Result<Nodes> {
    let output = Command::new("docker")
        .args(["ps", "--all", "--no-trunc"])
        .args(["--filter", "label=created_by.minikube.sigs.k8s.io=true"])
        .args(["--format", "{{.Names}}\t{{.State}}\t{{.Status}}"])
        .timeout(Duration::from_secs(10))
        .run();
    let output = match output {
        Ok(output) if output.success() => output,
        failed => {
            if let Err(error) = engine::require() {
                return Ok(Nodes::EngineOff(error.message));
            }
            let message = "cannot list the nodes of the cluster with docker";
            return Err(failed?.to_error("minikube.nodes-unknown", message));
        }
    };
    let listed = output.stdout_text();
    match count(profile, &listed) {
        Nodes::Running => Ok(match inside(profile)? {
            node::Health::Healthy | node::Health::Unknown => Nodes::Running,
            node::Health::Unhealthy(_) if is_young(profile, &listed) => Nodes::Starting,
            // A paused API server does not answer either.
            node::Health::Unhealthy(problem) => match reported(profile) {
                Ok(Nodes::Paused) => Nodes::Paused,
                _ => Nodes::Unhealthy(problem),
            },
        }),
        other => Ok(other),
    }
}

/// Reads the health of the API server with the `kubectl` and the kubeconfig in the first node.
///
/// # Errors
/// Fails if `docker` is not granted.
pub fn inside(profile: &Profile) -> Result<node::Health> {
    let kubectl = format!("/var/lib/minikube/binaries/{}/kubectl", profile.version);
    node::health(&profile.name, &kubectl, "/var/lib/minikube/kubeconfig")
}

/// Splits a line of the engine's list into the container's name and the other columns.
fn columns(line: &str) -> Option<(&str, &str)> {
    line.trim().split_once('\t')
}

fn count(profile: &Profile, listed: &str) -> Nodes {
    let states: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(columns)
        .map(|(name, rest)| (name, rest.split('\t').next().unwrap_or_default()))
        .collect();
    let machines = profile.machines();
    let states: Vec<&str> =
        machines.iter().filter_map(|machine| states.get(machine.as_str()).copied()).collect();
    match states.iter().filter(|state| **state == "running").count() {
        _ if states.is_empty() => Nodes::Gone,
        0 => Nodes::Stopped,
        running if running == machines.len() => Nodes::Running,
        running => Nodes::Some(running),
    }
}

/// Reports whether a node started less than a minute ago.
fn is_young(profile: &Profile, listed: &str) -> bool {
    let machines = profile.machines();
    listed.lines().filter_map(columns).any(|(name, rest)| {
        let status = rest.split('\t').nth(1).unwrap_or_default();
        machines.iter().any(|machine| machine == name)
            && status.starts_with("Up ")
            && status.contains("second")
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reported {
    host: String,
    #[serde(rename = "APIServer")]
    api_server: String,
    kubeconfig: String,
    #[serde(default)]
    worker: bool,
}

/// Parses the output of `minikube status`: one document for one node, a list for several.
fn parse(text: &str) -> Nodes {
    let text = text.trim();
    let several = serde_json::from_str::<Vec<Reported>>(text);
    let Ok(reports) = several.or_else(|_| serde_json::from_str(text).map(|one| vec![one])) else {
        return Nodes::Gone;
    };
    let running = reports.iter().filter(|report| report.host == "Running").count();
    let Some(first) = reports.iter().find(|report| !report.worker) else { return Nodes::Gone };
    match (first.host.as_str(), first.api_server.as_str()) {
        ("Stopped", _) => Nodes::Stopped,
        ("Nonexistent", _) => Nodes::Gone,
        ("Running", "Paused") => Nodes::Paused,
        ("Running", "Running") if running < reports.len() => Nodes::Some(running),
        ("Running", "Running") if first.kubeconfig == "Misconfigured" => {
            Nodes::Unhealthy("its address changed since the kubeconfig was written".to_owned())
        }
        ("Running", "Running") => Nodes::Running,
        ("Running", server) => {
            Nodes::Unhealthy(format!("its API server is {}", server.to_lowercase()))
        }
        (host, _) => Nodes::Unhealthy(format!("its node is {}", host.to_lowercase())),
    }
}

/// Combines all facts into a status.
pub fn of(profile: &Profile, nodes: &Nodes, context: Option<&Context>) -> Status {
    let name = &profile.name;
    let start = format!("start the minikube cluster {name}");
    let status = match nodes {
        Nodes::Running if context.is_none() => {
            Status::new(State::Degraded, format!("the kubeconfig has no context {name}"))
                // `minikube update-context` also switches the current context.
                .offer(format!(
                    "write the context {name} into the kubeconfig and make it the current one"
                ))
        }
        Nodes::Running => {
            Status::new(State::Ready, format!("profile {name}, nodes: {}", profile.nodes.len()))
        }
        Nodes::Some(running) => {
            let text = format!("{running} of {} nodes of {name} are running", profile.nodes.len());
            Status::new(State::Degraded, text).offer(start)
        }
        Nodes::Starting => Status::new(State::Starting, format!("profile {name} is starting")),
        Nodes::Stopped => {
            Status::new(State::Stopped, format!("profile {name} is stopped")).offer(start)
        }
        Nodes::Gone => {
            Status::new(State::Absent, format!("the nodes of profile {name} are gone")).offer(start)
        }
        Nodes::Paused => {
            let text = format!("profile {name} is paused; run `minikube unpause --profile {name}`");
            Status::new(State::Degraded, text)
        }
        Nodes::Unhealthy(problem) => {
            Status::new(State::Degraded, format!("profile {name}: {problem}")).offer(start)
        }
        Nodes::EngineOff(why) => Status::new(State::Stopped, why),
    };
    let local = context.is_some_and(|context| is_local(profile, context));
    let memory = profile.memory.filter(|memory| *memory < LEAST_MEMORY);
    let small = memory.map(|memory| {
        format!(
            "each node of {name} has {memory} MiB of memory, but Kubernetes needs 2 GiB; run `minikube delete \
             --profile {name}`, then deploy with the target's option memory"
        )
    });
    status
        .local(local)
        .kubernetes_version(&profile.version)
        .mode(&profile.driver)
        .runtime(&profile.runtime)
        .nodes(profile.machines())
        .warn(small)
}

/// Minimum in MiB. With less, pods are evicted or killed soon after the first ones run.
const LEAST_MEMORY: u64 = 2048;

/// Reports whether the cluster is on this machine: its driver is not `ssh`, which is for other machines, and its
/// context has a loopback address or the address of a node.
fn is_local(profile: &Profile, context: &Context) -> bool {
    let host = context.host();
    let own = |address: &str| !address.is_empty() && address == host;
    profile.driver != "ssh"
        && (context.is_loopback()
            || host == "control-plane.minikube.internal"
            || profile.nodes.iter().any(|node| own(&node.address)))
}

/// The program `minikube` does not exist.
pub fn not_installed() -> Error {
    Error::unavailable(
        "minikube.not-installed",
        "minikube is not installed: cannot find the program `minikube`",
    )
    .help(
        "install minikube (macOS: `brew install minikube`; Windows: `winget install Kubernetes.minikube`; Linux: \
         https://minikube.sigs.k8s.io/docs/start), then run the deploy again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Node;
    use crate::profile::tests::profile;

    fn context(server: &str) -> Context {
        Context { name: "minikube".into(), cluster: "minikube".into(), server: server.into() }
    }

    fn report(host: &str, server: &str, kubeconfig: &str) -> String {
        format!(
            r#"{{"Name":"minikube","Host":"{host}","Kubelet":"{host}","APIServer":"{server}","Kubeconfig":"{kubeconfig}","Worker":false}}"#
        )
    }

    #[test]
    fn status_of_minikube_is_parsed() {
        assert_eq!(parse(&report("Running", "Running", "Configured")), Nodes::Running);
        assert_eq!(parse(&report("Stopped", "Stopped", "Stopped")), Nodes::Stopped);
        assert_eq!(parse(&report("Nonexistent", "Nonexistent", "Nonexistent")), Nodes::Gone);
        assert_eq!(parse(&report("Running", "Paused", "Configured")), Nodes::Paused);
        assert!(matches!(
            parse(&report("Running", "Running", "Misconfigured")),
            Nodes::Unhealthy(_)
        ));
        let Nodes::Unhealthy(problem) = parse(&report("Running", "Stopped", "Configured")) else {
            panic!()
        };
        assert_eq!(problem, "its API server is stopped");
        assert!(matches!(parse(&report("InsufficientStorage", "", "")), Nodes::Unhealthy(_)));
        assert_eq!(parse("* Profile \"minikube\" not found."), Nodes::Gone);
    }

    #[test]
    fn status_of_several_nodes_is_a_list() {
        let worker = report("Stopped", "Irrelevant", "Irrelevant").replace("false", "true");
        let list = format!("[{},{worker}]", report("Running", "Running", "Configured"));
        assert_eq!(parse(&list), Nodes::Some(1));
    }

    #[test]
    fn running_containers_of_the_profile_are_counted() {
        let one = profile();
        assert_eq!(count(&one, "minikube\trunning\nother\texited\n"), Nodes::Running);
        assert_eq!(count(&one, "minikube\texited\n"), Nodes::Stopped);
        assert_eq!(count(&one, "other\trunning\n"), Nodes::Gone);
        let mut two = profile();
        two.nodes.push(Node { machine: "minikube-m02".into(), address: String::new() });
        assert_eq!(count(&two, "minikube\trunning\nminikube-m02\texited\n"), Nodes::Some(1));
    }

    #[test]
    fn states_have_an_offer_unless_only_the_user_can_act() {
        let here = context("https://192.168.49.2:8443");
        let state_of = |nodes, context| {
            let status = of(&profile(), &nodes, context);
            (status.state, status.offer.is_some())
        };
        assert_eq!(state_of(Nodes::Running, Some(&here)), (State::Ready, false));
        assert_eq!(state_of(Nodes::Running, None), (State::Degraded, true));
        assert_eq!(state_of(Nodes::Starting, Some(&here)), (State::Starting, false));
        assert_eq!(state_of(Nodes::Stopped, Some(&here)), (State::Stopped, true));
        assert_eq!(state_of(Nodes::Gone, None), (State::Absent, true));
        assert_eq!(state_of(Nodes::Some(1), Some(&here)), (State::Degraded, true));
        assert_eq!(state_of(Nodes::Unhealthy("x".into()), Some(&here)), (State::Degraded, true));
        // Only the user can change these states.
        assert_eq!(state_of(Nodes::Paused, Some(&here)), (State::Degraded, false));
        assert_eq!(state_of(Nodes::EngineOff("x".into()), Some(&here)), (State::Stopped, false));
    }

    #[test]
    fn driver_runtime_nodes_and_small_memory_are_reported() {
        let status = of(&profile(), &Nodes::Running, None);
        assert_eq!(status.mode.as_deref(), Some("docker"));
        assert_eq!(status.runtime.as_deref(), Some("containerd"));
        assert_eq!(status.nodes, ["minikube"]);
        assert_eq!(status.warnings, Vec::<String>::new());
        let small = Profile { memory: Some(1800), ..profile() };
        let warnings = of(&small, &Nodes::Running, None).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("1800 MiB"), "{warnings:?}");
    }

    #[test]
    fn node_is_young_for_less_than_a_minute() {
        let listed =
            |status: &str| format!("other\trunning\tUp 3 seconds\nminikube\trunning\t{status}\n");
        assert!(is_young(&profile(), &listed("Up 8 seconds")));
        assert!(is_young(&profile(), &listed("Up Less than a second")));
        assert!(!is_young(&profile(), &listed("Up 2 minutes")));
        assert!(!is_young(&profile(), "minikube\trunning\n"));
        assert_eq!(count(&profile(), &listed("Up 2 hours (Paused)")), Nodes::Running);
    }

    #[test]
    fn only_cluster_on_this_machine_is_local() {
        let is_local = |server: &str| of(&profile(), &Nodes::Running, Some(&context(server))).local;
        for server in ["https://192.168.49.2:8443", "https://127.0.0.1:32769", "192.168.49.2"] {
            assert!(is_local(server), "{server}");
        }
        for server in ["https://192.168.49.20:8443", "https://lab.example:8443", ""] {
            assert!(!is_local(server), "{server}");
        }
        let mut elsewhere = profile();
        elsewhere.driver = "ssh".into();
        assert!(!of(&elsewhere, &Nodes::Running, Some(&context("192.168.49.2"))).local);
    }
}
