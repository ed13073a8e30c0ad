//! The nodes of a cluster, as the engine knows them by kind's labels.

use std::time::Duration;
use todohost_docker_engine as engine;
use todohost_plugin::Result;
use todohost_plugin::process::Command;
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// One container that is a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The container's name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it has the API server.
    pub control_plane: bool,
}

/// The nodes that take pods or the API server, sorted by name; none for a cluster that does not exist.
///
/// # Errors
/// `docker.not-running`, or when the engine cannot be asked.
pub fn of(cluster: &str) -> Result<Vec<Node>> {
    let output = Command::new("docker")
        .args([
            "ps",
            "--all",
            "--no-trunc",
            "--filter",
            &format!("label=io.x-k8s.kind.cluster={cluster}"),
        ])
        .args(["--format", "{{.Names}}\t{{.State}}\t{{.Label \"io.x-k8s.kind.role\"}}"])
        .timeout(Duration::from_secs(10))
        .run();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            engine::require()?;
            return Err(error);
        }
    };
    if !output.success() {
        engine::require()?;
        return Err(
            output.to_error("kind.nodes-unknown", "docker cannot say which nodes the cluster has")
        );
    }
    Ok(parse(&output.stdout_text()))
}

fn parse(text: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = text
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (name, state, role) = (columns.next()?, columns.next()?, columns.next()?);
            // A balancer in front of several API servers is no node.
            (role == "control-plane" || role == "worker").then(|| Node {
                name: name.to_owned(),
                running: state == "running",
                control_plane: role == "control-plane",
            })
        })
        .collect();
    nodes.sort_by(|left, right| left.name.cmp(&right.name));
    nodes
}

/// The containers' names.
pub fn names(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// What the nodes and the kubeconfig say together. The engine may be another machine's, and kubeconfigs are copied
/// and merged: only a context that leads to this very machine makes the cluster local.
pub fn status(cluster: &str, nodes: &[Node], context: Option<&Context>) -> Status {
    let stopped = nodes.iter().filter(|node| !node.running).count();
    let status = if nodes.is_empty() {
        return Status::new(State::Absent, format!("there is no cluster {cluster} yet"))
            .offer(format!("create the kind cluster {cluster}"));
    } else if stopped == nodes.len() {
        Status::new(State::Stopped, format!("the nodes of {cluster} are stopped"))
            .offer(format!("start the kind cluster {cluster}"))
    } else if stopped > 0 {
        Status::new(
            State::Degraded,
            format!("{stopped} of {} nodes of {cluster} are stopped", nodes.len()),
        )
        .offer(format!("start the stopped nodes of the kind cluster {cluster}"))
    } else if context.is_some() {
        Status::new(State::Ready, format!("cluster {cluster}, nodes: {}", nodes.len()))
    } else {
        Status::new(State::Degraded, format!("the kubeconfig has no context kind-{cluster}"))
            .offer(format!("write the context kind-{cluster} into the kubeconfig"))
    };
    status.local(context.is_some_and(Context::is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balancers_are_no_nodes() {
        let nodes = parse(
            "a-worker\trunning\tworker\na-control-plane\texited\tcontrol-plane\na-external-load-balancer\trunning\texternal-load-balancer\n",
        );
        assert_eq!(nodes.len(), 2);
        assert!(nodes[0].control_plane && !nodes[0].running);
    }

    fn context(server: &str) -> Context {
        Context { name: "kind-a".into(), cluster: "kind-a".into(), server: server.into() }
    }

    #[test]
    fn each_state_is_told_apart() {
        let node = |running| Node { name: "a".into(), running, control_plane: true };
        let here = context("https://127.0.0.1:41234");
        let state = |nodes: &[Node], context| status("a", nodes, context).state;
        assert_eq!(state(&[], Some(&here)), State::Absent);
        assert_eq!(state(&[node(false)], Some(&here)), State::Stopped);
        assert_eq!(state(&[node(true), node(false)], Some(&here)), State::Degraded);
        assert_eq!(state(&[node(true)], None), State::Degraded);
        assert_eq!(state(&[node(true)], Some(&here)), State::Ready);
        let offer = |nodes: &[Node], context| status("a", nodes, context).offer;
        assert_eq!(offer(&[], None).unwrap(), "create the kind cluster a");
        assert_eq!(offer(&[node(false)], None).unwrap(), "start the kind cluster a");
        assert!(offer(&[node(true)], None).is_some());
        assert_eq!(offer(&[node(true)], Some(&here)), None);
    }

    #[test]
    fn only_a_context_of_this_machine_is_local() {
        let nodes = [Node { name: "a".into(), running: true, control_plane: true }];
        let is_local = |server| status("a", &nodes, Some(&context(server))).local;
        assert!(is_local("https://127.0.0.1:41234"));
        assert!(!is_local("https://10.0.0.9:41234"));
        assert!(!status("a", &nodes, None).local);
    }
}
