//! kind clusters that tests create and delete: with several nodes, stopped, and half-created.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use todohost_testkit::{Finished, Host, Running};
use todohost_tests::real::{Real, shop_project};

use super::node::{Node, docker, is_running, is_there};
use super::{delivered, deploy, listed, require_kind};

/// Deadline for events outside of the host.
const PATIENCE: Duration = Duration::from_mins(2);

const TWO_NODES: &str = "kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
";

/// The app `shop` on a cluster of the test; both are deleted when dropped.
struct Own {
    real: Real,
    name: String,
}

impl Own {
    /// Prepares the project and removes a cluster that a killed run left.
    fn new(name: &str) -> Self {
        require_kind();
        let cluster = format!("todohost-{name}");
        let project = shop_project(name);
        let target =
            format!("\n[targets.{name}]\nplugin = \"kind\"\noptions.cluster = \"{cluster}\"\n");
        project.append("todohost.toml", &target);
        // The API server can always reach pods on its own node, even if pods of different nodes cannot reach each
        // other.
        project.replace(
            "chart/templates/deployment.yaml",
            "    spec:\n      containers:\n",
            "    spec:\n      nodeSelector: { node-role.kubernetes.io/control-plane: '' }\n      \
             tolerations: [{ operator: Exists }]\n      containers:\n",
        );
        let real = Real::apart(project, name, &format!("kind-{cluster}"), &format!("shop-{name}"));
        let own = Self { real, name: cluster };
        let deleted = own.delete();
        assert!(deleted.status.success(), "{deleted:?}");
        own
    }

    /// Runs the kind command.
    fn kind(&self, words: &[&str]) -> Output {
        let mut kind = Command::new("kind");
        kind.args(words).args(["--name", &self.name]);
        kind.env("KUBECONFIG", self.real.project.kubeconfig());
        kind.output().unwrap()
    }

    fn delete(&self) -> Output {
        self.kind(&["delete", "cluster"])
    }

    fn node(&self, role: &str) -> Node {
        Node(format!("{}-{role}", self.name))
    }

    fn control_plane(&self) -> Node {
        self.node("control-plane")
    }

    /// A deploy with consent to start and create the cluster.
    fn deploy(&self) -> Host {
        deploy(&self.real).args(["--yes"])
    }

    fn state(&self) -> String {
        let entry = listed(&self.real.host(), self.real.target());
        entry["state"].as_str().unwrap().to_owned()
    }

    fn assert_not_begun(&self) {
        assert!(self.real.object("namespace", self.real.namespace()).is_null());
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.delete();
    }
}

/// Waits for an event outside of the host.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "this never happened: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Interrupts the deploy; returns its output.
fn stop(running: Running) -> Finished {
    running.interrupt();
    running.finish().expect_code(130)
}

/// The nodes to which a deploy delivered an image.
fn places(finished: &Finished) -> Vec<String> {
    let lines = finished.events_of("step-progress").into_iter();
    let mut places: Vec<String> = lines
        .filter_map(|event| {
            let (_, nodes) =
                event["message"].as_str()?.strip_prefix("copy ")?.split_once(" to ")?;
            Some(nodes.to_owned())
        })
        .collect();
    places.dedup();
    places
}

/// A deploy during the delivery of the image to this node.
fn bringing(own: &Own, node: &Node) -> Running {
    running_until(own.deploy().spawn(), "an import", || node.runs("images import"))
}

/// A run at the moment of an event outside of it.
fn running_until(running: Running, event: &str, mut is_so: impl FnMut() -> bool) -> Running {
    let mut running = Some(running);
    wait_until(event, || {
        if let Some(ended) = running.take_if(|running| !running.runs()) {
            panic!("it ended before {event}: {}", ended.finish().output());
        }
        is_so()
    });
    running.unwrap()
}

#[test]
fn images_are_delivered_per_node_and_stopped_nodes_are_started() {
    let own = Own::new("pair");
    let nodes = [own.control_plane(), own.node("worker")];
    let file = own.real.project.folder().join("two-nodes.yaml");
    std::fs::write(&file, TWO_NODES).unwrap();
    let made = own.kind(&["create", "cluster", "--config", &file.display().to_string()]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(own.state(), "ready");

    // After an interrupt and after a kill, a partial import does not count as an image.
    let finished = stop(bringing(&own, &nodes[1]));
    assert!(finished.output().contains("nothing was left behind"), "{}", finished.output());
    own.assert_not_begun();
    let is_over = || nodes.iter().all(|node| !node.runs("images import"));
    wait_until("the import's end", is_over);
    let running = bringing(&own, &nodes[1]);
    running.kill();
    let _ = running.finish();
    wait_until("the import's end", is_over);
    own.assert_not_begun();

    let first = own.deploy().run().expect_code(0);
    let (reference, _) = delivered(&first);
    assert!(nodes.iter().all(|node| node.has_image(&reference)));
    assert_eq!(places(&first), [format!("{}, {}", nodes[0].0, nodes[1].0)]);

    // Nothing is sent to a node that has the image.
    nodes[0].remove_image(&reference);
    let again = own.deploy().run().expect_code(0);
    assert_eq!(places(&again), [nodes[0].0.clone()]);
    assert!(nodes[0].has_image(&reference));
    assert_eq!(own.real.revisions(), ["1 deployed"]);

    are_started_again(&own, &nodes);
    let _ = own.real.host().args(["target", "delete", "pair", "--yes"]).run().expect_code(0);
    assert!(!nodes.iter().any(|node| is_there(&node.0)));
    assert_eq!(own.state(), "absent");
}

/// Stopped nodes are reported, and a deploy with consent starts them, even after an interrupted start.
fn are_started_again(own: &Own, nodes: &[Node; 2]) {
    let [control_plane, worker] = nodes;
    worker.stop();
    assert_eq!(own.state(), "degraded");
    control_plane.stop();
    assert_eq!(own.state(), "stopped");
    let refused = deploy(&own.real).run().expect_code(5);
    assert!(refused.stdout.contains("start the kind cluster todohost-pair"), "{}", refused.stdout);
    assert!(nodes.iter().all(|node| !is_running(&node.0)));

    let mut running = own.deploy().spawn();
    running.wait_for_output("it will start the kind cluster");
    let stopped = stop(running);
    let expected = "it had begun to start the kind cluster todohost-pair";
    assert!(stopped.output().contains(expected), "{}", stopped.output());
    let started = own.deploy().run().expect_code(0);
    assert!(started.stdout.contains("1 probes answered"), "{}", started.output());
    assert_eq!(own.state(), "ready");
    assert!(nodes.iter().all(|node| is_running(&node.0)));
    let again = own.deploy().run().expect_code(0);
    assert_eq!(own.real.revisions(), ["1 deployed"], "{}", again.output());
    assert_eq!(own.real.object("deployment", "shop-web")["status"]["availableReplicas"], 1);
}

/// A deploy that creates the cluster, at the moment when kubeadm runs in a node other than `before`.
fn creating(own: &Own, before: &str) -> Running {
    let node = own.control_plane();
    running_until(own.deploy().spawn(), "Kubernetes is set up", || {
        let began = created_at(&node);
        !began.is_empty() && began != before && node.runs("kubeadm init")
    })
}

/// Creation time of a node's container; empty without a container.
fn created_at(node: &Node) -> String {
    let created = docker(&["inspect", "--format", "{{.Created}}", &node.0]);
    String::from_utf8_lossy(&created.stdout).trim().to_owned()
}

#[test]
fn half_created_cluster_is_created_again_with_consent() {
    let own = Own::new("part");
    assert_eq!(own.state(), "absent");
    let running = creating(&own, "");
    running.kill();
    let _ = running.finish();
    assert_eq!(own.state(), "degraded");
    // Without consent nothing is created or deleted.
    let began = created_at(&own.control_plane());
    let refused = deploy(&own.real).run().expect_code(5);
    assert!(refused.stdout.contains("if you agree"), "{}", refused.stdout);
    assert_eq!(created_at(&own.control_plane()), began);

    let stopped = stop(creating(&own, &began));
    assert!(stopped.output().contains("it had begun to"), "{}", stopped.output());

    let made = own.deploy().run().expect_code(0);
    assert_eq!(own.state(), "ready");
    assert_eq!(own.real.revisions(), ["1 deployed"], "{}", made.output());
}
