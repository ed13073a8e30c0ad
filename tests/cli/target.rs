//! Invalid targets and contexts, unreachable clusters, stopped engines.

use todohost_testkit::cluster::{Effect, kubeconfig};
use todohost_testkit::{Fault, Refusal, Rule};

use super::world::{World, assert_refusal, docker};

#[test]
fn missing_context_is_reported() {
    let world = World::new();
    world.cluster.write_kubeconfig(&world.project.kubeconfig(), "elsewhere");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn missing_kubeconfig_is_reported() {
    let world = World::new();
    std::fs::remove_file(world.project.kubeconfig()).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn unreachable_cluster_is_reported() {
    let world = World::new();
    // A port that was free a moment ago.
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let text = kubeconfig("docker-desktop", &format!("http://127.0.0.1:{port}"));
    std::fs::write(world.project.kubeconfig(), text).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn rejected_credentials_are_reported() {
    let world = World::new();
    world.cluster.fault(Fault {
        method: String::new(),
        path: "/".into(),
        times: None,
        effect: Effect::Refuse(Refusal::new(401, "Unauthorized", "Unauthorized")),
    });
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn stopped_engine_is_reported() {
    let world = World::new();
    world.tools.set("engine-stopped");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn missing_engine_is_reported() {
    let world = World::new();
    let finished = world.deploy().variable("PATH", world.project.home()).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn unknown_target_is_reported() {
    let world = World::new();
    let secret = "--set=secrets.databaseUrl=postgresql://db.example/shop";
    let finished = world.host().args(["deploy", "--target", "moon", secret]).run();
    assert_refusal!(world, finished);
}

#[test]
fn remote_cluster_is_never_selected_automatically() {
    let world = World::new();
    let text = kubeconfig("docker-desktop", "https://cluster.example:6443");
    std::fs::write(world.project.kubeconfig(), text).unwrap();
    let finished = world.run("deploy");
    assert_ne!(finished.code(), Some(0));
    assert_eq!(world.cluster.requests(), []);
}

#[test]
fn target_list_has_state_and_offer_of_each_target() {
    let world = World::new();
    world.tools.program("kind", &[Rule::on("--version").prints("kind version 0.33.0\n")]);
    let rules = [&[Rule::on("ps --all **")], docker().as_slice()].concat();
    world.tools.program("docker", &rules);
    let finished = world.run("target list").expect_code(0);
    world.settings().bind(|| insta::assert_snapshot!(finished.stdout));
}
