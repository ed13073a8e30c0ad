//! Status of the target, from the nodes, the kubeconfig and the state of Kubernetes in the nodes.

use crate::nodes::{self, Inside, Node};
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// Status of a cluster that does not exist.
pub fn absent(cluster: &str, others: &[String]) -> Status {
    let others = match others {
        [] => String::new(),
        others => format!("; existing clusters: {}", others.join(", ")),
    };
    Status::new(State::Absent, format!("the cluster {cluster} does not exist{others}"))
        .offer(format!("create the kind cluster {cluster}"))
}

/// Status of a cluster with nodes. `inside` is read only if all nodes run. The cluster is local only if its context has
/// a loopback address, because the engine can be on another machine, and kubeconfigs are copied and merged.
pub fn of(cluster: &str, nodes: &[Node], inside: &Inside, context: Option<&Context>) -> Status {
    let down: Vec<&Node> = nodes.iter().filter(|node| !node.runs()).collect();
    let paused = down.iter().find(|node| node.state == "paused");
    let is_starting = |node: &Node| matches!(node.state.as_str(), "created" | "restarting");
    let start = format!("start the kind cluster {cluster}");
    let status = if let Some(paused) = paused {
        let name = &paused.name;
        let text = format!("the node {name} is paused; run `docker unpause {name}`");
        Status::new(State::Degraded, text)
    } else if down.len() == nodes.len() && down.iter().copied().all(is_starting) {
        Status::new(State::Starting, format!("the nodes of {cluster} are starting"))
    } else if down.len() == nodes.len() {
        Status::new(State::Stopped, format!("the nodes of {cluster} are stopped")).offer(start)
    } else if !down.is_empty() {
        let text = format!("{} of {} nodes of {cluster} are stopped", down.len(), nodes.len());
        let offer = format!("start the stopped nodes of the kind cluster {cluster}");
        Status::new(State::Degraded, text).offer(offer)
    } else if *inside == Inside::Unfinished {
        let text = format!("the creation of the cluster {cluster} was interrupted");
        let offer = format!("delete the incomplete kind cluster {cluster}, and create it");
        Status::new(State::Degraded, text).offer(offer)
    } else if let (None, Inside::Unhealthy(problem)) = (context, inside) {
        let text = format!("the cluster {cluster} has no context in the kubeconfig: {problem}");
        let offer = format!(
            "wait for the kind cluster {cluster}, and create it again if its creation was interrupted"
        );
        Status::new(State::Degraded, text).offer(offer)
    } else if context.is_none() {
        Status::new(State::Degraded, format!("the kubeconfig has no context kind-{cluster}"))
            .offer(format!("write the context kind-{cluster} into the kubeconfig"))
    } else if let Inside::Unhealthy(problem) = inside {
        if nodes.iter().any(|node| node.is_young) {
            Status::new(State::Starting, format!("cluster {cluster} is starting"))
        } else {
            Status::new(State::Degraded, format!("cluster {cluster}: {problem}"))
                .offer(format!("restart the nodes of the kind cluster {cluster}"))
        }
    } else {
        Status::new(State::Ready, format!("cluster {cluster}, nodes: {}", nodes.len()))
    };
    let status = status
        .local(context.is_some_and(Context::is_loopback))
        .runtime("containerd")
        .nodes(nodes::names(nodes));
    match nodes.iter().find_map(|node| node.version.as_deref()) {
        Some(version) => status.kubernetes_version(version),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::tests::node;

    fn context(server: &str) -> Context {
        Context { name: "kind-a".into(), cluster: "kind-a".into(), server: server.into() }
    }

    #[test]
    fn states_are_distinguished() {
        let (up, down) = (node("a-control-plane", "running"), node("a-worker", "exited"));
        let here = context("https://127.0.0.1:41234");
        let state_of = |nodes: &[Node], inside: Inside, context: Option<&Context>| {
            let status = of("a", nodes, &inside, context);
            (status.state, status.offer.unwrap_or_default())
        };
        let up = std::slice::from_ref(&up);
        let down = std::slice::from_ref(&down);
        let both = [up, down].concat();
        let unhealthy = || Inside::Unhealthy("it does not answer".into());
        assert_eq!(state_of(up, Inside::Healthy, Some(&here)), (State::Ready, String::new()));
        assert_eq!(
            state_of(down, Inside::Healthy, Some(&here)),
            (State::Stopped, "start the kind cluster a".into())
        );
        let (state, offer) = state_of(&both, Inside::Healthy, Some(&here));
        assert!(state == State::Degraded && offer.contains("stopped nodes"), "{offer}");
        let (state, offer) = state_of(up, Inside::Healthy, None);
        assert!(state == State::Degraded && offer.contains("context kind-a"), "{offer}");
        let (state, offer) = state_of(up, Inside::Unfinished, None);
        assert!(state == State::Degraded && offer.contains("delete the incomplete"), "{offer}");
        let (state, offer) = state_of(up, unhealthy(), None);
        assert!(state == State::Degraded && offer.contains("if its creation was"), "{offer}");
        let (state, offer) = state_of(up, unhealthy(), Some(&here));
        assert!(state == State::Degraded && offer.contains("restart the nodes"), "{offer}");
        let young = [Node { is_young: true, ..up[0].clone() }];
        assert_eq!(state_of(&young, unhealthy(), Some(&here)), (State::Starting, String::new()));
        let created = [node("a-control-plane", "created")];
        assert_eq!(state_of(&created, Inside::Healthy, Some(&here)).0, State::Starting);
        let paused = [node("a-control-plane", "paused")];
        assert_eq!(
            state_of(&paused, Inside::Healthy, Some(&here)),
            (State::Degraded, String::new())
        );
    }

    #[test]
    fn absent_cluster_lists_existing_clusters() {
        let status = absent("a", &["b".into(), "c".into()]);
        assert_eq!(status.state, State::Absent);
        assert_eq!(status.offer.unwrap(), "create the kind cluster a");
        assert_eq!(status.detail.unwrap(), "the cluster a does not exist; existing clusters: b, c");
    }

    #[test]
    fn version_runtime_and_nodes_are_reported() {
        let nodes = [node("a-control-plane", "running"), node("a-worker", "running")];
        let here = context("https://127.0.0.1:41234");
        let status = of("a", &nodes, &Inside::Healthy, Some(&here));
        assert_eq!(status.kubernetes_version.as_deref(), Some("v1.35.4"));
        assert_eq!(status.runtime.as_deref(), Some("containerd"));
        assert_eq!(status.nodes, ["a-control-plane", "a-worker"]);
    }

    #[test]
    fn only_loopback_context_is_local() {
        let nodes = [node("a-control-plane", "running")];
        let is_local = |server| of("a", &nodes, &Inside::Healthy, Some(&context(server))).local;
        assert!(is_local("https://127.0.0.1:41234"));
        assert!(!is_local("https://10.0.0.9:41234"));
        assert!(!of("a", &nodes, &Inside::Healthy, None).local);
    }
}
