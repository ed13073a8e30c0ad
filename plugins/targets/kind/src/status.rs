//! What the nodes, the kubeconfig and a look inside say together.

use crate::nodes::{self, Inside, Node};
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// Where there is no such cluster.
pub fn absent(cluster: &str, others: &[String]) -> Status {
    let others = match others {
        [] => String::new(),
        others => format!("; there are: {}", others.join(", ")),
    };
    Status::new(State::Absent, format!("there is no cluster {cluster} yet{others}"))
        .offer(format!("create the kind cluster {cluster}"))
}

/// The state of a cluster with nodes; `inside` is asked only where all of them run. The engine may be another
/// machine's, and kubeconfigs are copied and merged: only a context that leads to this very machine makes it local.
pub fn of(cluster: &str, nodes: &[Node], inside: &Inside, context: Option<&Context>) -> Status {
    let down: Vec<&Node> = nodes.iter().filter(|node| !node.runs()).collect();
    let paused = down.iter().find(|node| node.state == "paused");
    let is_starting = |node: &Node| matches!(node.state.as_str(), "created" | "restarting");
    let start = format!("start the kind cluster {cluster}");
    let status = if let Some(paused) = paused {
        let name = &paused.name;
        Status::new(State::Degraded, format!("the node {name} is paused: docker unpause {name}"))
    } else if down.len() == nodes.len() && down.iter().copied().all(is_starting) {
        Status::new(State::Starting, format!("the nodes of {cluster} are starting"))
    } else if down.len() == nodes.len() {
        Status::new(State::Stopped, format!("the nodes of {cluster} are stopped")).offer(start)
    } else if !down.is_empty() {
        let text = format!("{} of {} nodes of {cluster} are stopped", down.len(), nodes.len());
        let offer = format!("start the stopped nodes of the kind cluster {cluster}");
        Status::new(State::Degraded, text).offer(offer)
    } else if *inside == Inside::Unfinished {
        let text = format!("the creation of the cluster {cluster} was broken off");
        let offer = format!("take away what is there of the kind cluster {cluster}, and create it");
        Status::new(State::Degraded, text).offer(offer)
    } else if let (None, Inside::Sick(how)) = (context, inside) {
        let text = format!("the cluster {cluster} has no context in the kubeconfig: {how}");
        let offer = format!(
            "wait for the kind cluster {cluster}, and create it again if its creation was broken off"
        );
        Status::new(State::Degraded, text).offer(offer)
    } else if context.is_none() {
        Status::new(State::Degraded, format!("the kubeconfig has no context kind-{cluster}"))
            .offer(format!("write the context kind-{cluster} into the kubeconfig"))
    } else if let Inside::Sick(how) = inside {
        if nodes.iter().any(|node| node.is_young) {
            Status::new(State::Starting, format!("cluster {cluster} is starting"))
        } else {
            Status::new(State::Degraded, format!("cluster {cluster}: {how}"))
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
    fn each_state_is_told_apart() {
        let (up, down) = (node("a-control-plane", "running"), node("a-worker", "exited"));
        let here = context("https://127.0.0.1:41234");
        let told = |nodes: &[Node], inside: Inside, context: Option<&Context>| {
            let status = of("a", nodes, &inside, context);
            (status.state, status.offer.unwrap_or_default())
        };
        let up = std::slice::from_ref(&up);
        let down = std::slice::from_ref(&down);
        let both = [up, down].concat();
        let sick = || Inside::Sick("it does not answer".into());
        assert_eq!(told(up, Inside::Well, Some(&here)), (State::Ready, String::new()));
        assert_eq!(
            told(down, Inside::Well, Some(&here)),
            (State::Stopped, "start the kind cluster a".into())
        );
        let (state, offer) = told(&both, Inside::Well, Some(&here));
        assert!(state == State::Degraded && offer.contains("stopped nodes"), "{offer}");
        let (state, offer) = told(up, Inside::Well, None);
        assert!(state == State::Degraded && offer.contains("context kind-a"), "{offer}");
        let (state, offer) = told(up, Inside::Unfinished, None);
        assert!(state == State::Degraded && offer.contains("take away what is there"), "{offer}");
        let (state, offer) = told(up, sick(), None);
        assert!(state == State::Degraded && offer.contains("if its creation was"), "{offer}");
        let (state, offer) = told(up, sick(), Some(&here));
        assert!(state == State::Degraded && offer.contains("restart the nodes"), "{offer}");
        let young = [Node { is_young: true, ..up[0].clone() }];
        assert_eq!(told(&young, sick(), Some(&here)), (State::Starting, String::new()));
        let created = [node("a-control-plane", "created")];
        assert_eq!(told(&created, Inside::Well, Some(&here)).0, State::Starting);
        let paused = [node("a-control-plane", "paused")];
        assert_eq!(told(&paused, Inside::Well, Some(&here)), (State::Degraded, String::new()));
    }

    #[test]
    fn what_is_not_there_names_what_is() {
        let status = absent("a", &["b".into(), "c".into()]);
        assert_eq!(status.state, State::Absent);
        assert_eq!(status.offer.unwrap(), "create the kind cluster a");
        assert_eq!(status.detail.unwrap(), "there is no cluster a yet; there are: b, c");
    }

    #[test]
    fn what_is_known_of_it_is_told() {
        let nodes = [node("a-control-plane", "running"), node("a-worker", "running")];
        let here = context("https://127.0.0.1:41234");
        let status = of("a", &nodes, &Inside::Well, Some(&here));
        assert_eq!(status.kubernetes_version.as_deref(), Some("v1.35.4"));
        assert_eq!(status.runtime.as_deref(), Some("containerd"));
        assert_eq!(status.nodes, ["a-control-plane", "a-worker"]);
    }

    #[test]
    fn only_a_context_of_this_machine_is_local() {
        let nodes = [node("a-control-plane", "running")];
        let is_local = |server| of("a", &nodes, &Inside::Well, Some(&context(server))).local;
        assert!(is_local("https://127.0.0.1:41234"));
        assert!(!is_local("https://10.0.0.9:41234"));
        assert!(!of("a", &nodes, &Inside::Well, None).local);
    }
}
