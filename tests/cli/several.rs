//! Several targets in one run, and the target selected if none is named.

use todohost_testkit::{FakeCluster, Host, Rule};

use super::world::{DATABASE, World, assert_refusal};

/// Docker Desktop's cluster and a kind cluster on one machine, each with its own API server.
fn two() -> (World, FakeCluster) {
    let world = World::new();
    let second = FakeCluster::builder().node("todohost-control-plane").start();
    second.write_kubeconfig(&world.project.home().join(".kube/second"), "kind-todohost");
    let node = "exec todohost-control-plane ctr ** images list --quiet";
    let rules = [
        // No container publishes a port of this machine, and Docker Desktop's cluster is not made by kind.
        Rule::on("ps --filter * --format *"),
        Rule::on("ps **").prints("todohost-control-plane\trunning\tcontrol-plane\n"),
        Rule::on("exec todohost-control-plane kubectl **").prints("ok"),
        // After the import the node has the engine's image.
        Rule::on(node).requires("arrived").prints(&format!("docker.io/library/{}\n", image())),
        Rule::on(node),
        Rule::on("save **").requires("save-fails").fails(1, "no space left on device\n"),
        Rule::on("save **"),
        Rule::on("exec --interactive todohost-control-plane ctr ** import **").sets("arrived"),
        Rule::on("port **").fails(1, "no public port"),
    ];
    world.tools.program("docker", &[&rules[..], &super::world::docker()].concat());
    (world, second)
}

fn image() -> String {
    super::targets::image()
}

/// The host with both kubeconfigs.
fn host(world: &World) -> Host {
    let files = [world.project.kubeconfig(), world.project.home().join(".kube/second")];
    world.host().variable("KUBECONFIG", std::env::join_paths(files).unwrap())
}

fn deploy(world: &World, targets: &[&str]) -> Host {
    let named = targets.iter().flat_map(|target| ["--target", target]);
    host(world)
        .args(["deploy"])
        .args(named)
        .args(["--set", &format!("secrets.databaseUrl={DATABASE}")])
}

#[test]
fn one_run_deploys_to_two_targets_and_builds_once() {
    let (world, second) = two();
    let finished = deploy(&world, &["docker-desktop", "kind"]).run().expect_code(0);
    world.assert_no_leak(&finished);
    for cluster in [&world.cluster, &second] {
        let deployment = cluster.get("deployments.apps", "shop", "shop-web").unwrap();
        assert_eq!(deployment["status"]["readyReplicas"], 1);
        let record = "secrets/sh.helm.release.v1.shop.v1".to_owned();
        assert!(cluster.names_in("shop").contains(&record));
    }
    let lines = world.tools.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("buildx build")).count(), 1, "{lines:#?}");
    for line in
        ["[docker-desktop] done      apply", "[kind] done      apply", "[kind] done      deliver"]
    {
        assert!(finished.stderr.contains(line), "{line} is not in:\n{}", finished.stderr);
    }
}

#[test]
fn every_step_event_names_its_target() {
    let (world, _second) = two();
    let finished =
        deploy(&world, &["docker-desktop", "kind"]).args(["--output", "json"]).run().expect_code(0);
    let started = finished.events_of("step-started");
    let of = |target: &str| started.iter().filter(|event| event["target"] == target).count();
    assert_eq!(of("docker-desktop"), of("kind"));
    assert_eq!(of("docker-desktop") + of("kind"), started.len());
    assert_eq!(finished.events_of("run-finished").len(), 1);
}

#[test]
fn failure_on_one_target_does_not_affect_the_other() {
    let (world, second) = two();
    world.tools.set("save-fails");
    let finished = deploy(&world, &["docker-desktop", "kind"]).run();
    assert!(!matches!(finished.code(), Some(0 | 1)), "{}", finished.output());
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
    assert_eq!(second.get("namespaces", "", "shop"), None);
    // The table has the successful target with its revision and the failed one.
    let row = |target: &str| {
        let mut lines = finished.stderr.lines();
        lines.find(|line| line.starts_with(&format!("{target} "))).unwrap_or_default().to_owned()
    };
    assert!(row("docker-desktop").contains("done     1"), "{}", finished.output());
    assert!(row("kind").contains("failed   -"), "{}", finished.output());
}

#[test]
fn final_event_has_the_outcome_of_each_target() {
    let ends = |finished: &todohost_testkit::Finished| {
        let end = finished.events_of("run-finished").remove(0);
        let targets = end["targets"].as_array().unwrap().clone();
        (end, targets)
    };
    let json =
        |world: &World| deploy(world, &["docker-desktop", "kind"]).args(["--output", "json"]).run();
    let (world, _second) = two();
    world.tools.set("save-fails");
    let failed = json(&world);
    let (end, targets) = ends(&failed);
    assert_eq!(targets.len(), 2, "{end}");
    assert_eq!(
        (&targets[0]["target"], &targets[0]["outcome"], &targets[0]["revision"]),
        (&"docker-desktop".into(), &"done".into(), &1.into())
    );
    assert_eq!(
        (&targets[1]["target"], &targets[1]["outcome"], &targets[1]["revision"]),
        (&"kind".into(), &"failed".into(), &serde_json::Value::Null)
    );
    assert_eq!(targets[1]["error"]["code"], end["error"]["code"], "{end}");
    assert!(targets[0].get("error").is_none(), "{end}");

    world.tools.unset("save-fails");
    let (end, targets) = ends(&json(&world).expect_code(0));
    let result = |at: usize| (targets[at]["outcome"].clone(), targets[at]["revision"].clone());
    assert_eq!(result(0), ("unchanged".into(), 1.into()), "{end}");
    assert_eq!(result(1), ("done".into(), 1.into()), "{end}");
}

#[test]
fn each_failed_target_is_reported_in_full() {
    let world = World::new();
    std::fs::remove_file(world.project.kubeconfig()).unwrap();
    let finished = deploy(&world, &["docker-desktop", "minikube"]).run();
    assert_ne!(finished.code(), Some(0));
    let output = finished.output();
    for code in ["code: docker-desktop.absent", "code: minikube.not-installed"] {
        assert_eq!(output.matches(code).count(), 1, "{code}:\n{output}");
    }
    assert_eq!(output.matches("  help: ").count(), 2, "{output}");
}

#[test]
fn best_local_target_is_selected_and_the_reason_printed() {
    let (world, second) = two();
    let finished = deploy(&world, &["auto"]).run().expect_code(0);
    let reason = "target docker-desktop: images need not be brought to it; there run also kind";
    assert!(finished.stderr.contains(reason), "{}", finished.stderr);
    assert_eq!(second.get("namespaces", "", "shop"), None);
}

#[test]
fn ambiguous_target_without_a_name_is_refused() {
    let (world, _second) = two();
    let finished = deploy(&world, &[]).run();
    assert_refusal!(world, finished);
}

#[test]
fn missing_local_target_is_reported() {
    let world = World::new();
    std::fs::remove_file(world.project.kubeconfig()).unwrap();
    let finished = deploy(&world, &["auto"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn reserved_target_name_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[targets.auto]\nplugin = \"kind\"\n");
    let finished = deploy(&world, &["auto"]).run();
    assert_refusal!(world, finished);
}
