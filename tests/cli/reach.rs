//! A printed address leads to this cluster; otherwise a port-forward command is printed with the reason.

use todohost_testkit::{Finished, Host};

use super::world::World;

const FORWARD: &str = "  todohost forward shop-web --target docker-desktop";
const INDISTINGUISHABLE: &str = "in another cluster would answer the same";

/// A deploy that exposes the app at a port of this machine.
fn deploy(world: &World, port: u16) -> Host {
    world.project.write(
        "chart/templates/service.yaml",
        &world.project.read("chart/templates/service.yaml").replace(
            "      targetPort: http\n",
            &format!("      targetPort: http\n      nodePort: {port}\n"),
        ),
    );
    world.deploy().args(["--set", "service.type=NodePort"])
}

fn status(world: &World) -> Host {
    world.host().args(["status", "--target", "docker-desktop"])
}

/// Another cluster with the same app, which answers at a port of this machine.
fn another() -> (World, u16) {
    let other = World::new();
    let port = other.cluster.node_port("shop", "shop-web");
    let _ = other.deploy().run().expect_code(0);
    (other, port)
}

#[track_caller]
fn assert_address(finished: &Finished, address: &str) {
    let output = finished.output();
    assert!(output.lines().any(|line| line == address), "no {address:?} in:\n{output}");
}

#[track_caller]
fn assert_reports(finished: &Finished, words: &str) {
    assert!(finished.stderr.contains(words), "no {words:?} in:\n{}", finished.output());
}

#[test]
fn port_that_answers_only_after_the_deploy_is_accepted() {
    let world = World::new();
    let port = world.cluster.node_port("shop", "shop-web");
    let address = format!("  http://localhost:{port}");
    let first = deploy(&world, port).run().expect_code(0);
    assert_address(&first, &address);
    assert!(!first.output().contains(INDISTINGUISHABLE), "{}", first.output());
    assert!(!first.output().contains("warning"), "{}", first.output());
    // The observation is cached on this machine.
    let second = status(&world).run().expect_code(0);
    assert_address(&second, &address);
    assert!(!second.output().contains(INDISTINGUISHABLE), "{}", second.output());
    // Another machine has no such observation, and reports that.
    let bob = world.elsewhere(status(&world)).run().expect_code(0);
    assert_address(&bob, &address);
    assert_reports(&bob, INDISTINGUISHABLE);
}

#[test]
fn port_that_answered_before_the_deploy_is_rejected() {
    let (_other, port) = another();
    let world = World::new();
    let deployed = deploy(&world, port).run().expect_code(0);
    assert_address(&deployed, FORWARD);
    assert_reports(&deployed, "something answered there before this cluster had the port");
    let later = status(&world).run().expect_code(0);
    assert_address(&later, FORWARD);
}

#[test]
fn pods_that_answer_with_their_name_are_recognised() {
    let (other, taken) = another();
    other.cluster.answer("shop-web", "/", 200, "this is {pod}");
    let world = World::new();
    world.cluster.answer("shop-web", "/", 200, "this is {pod}");
    let deployed = deploy(&world, taken).run().expect_code(0);
    assert_address(&deployed, FORWARD);
    // A machine without the observation recognises the pods as well.
    let bob = world.elsewhere(status(&world)).run().expect_code(0);
    assert_address(&bob, FORWARD);
    assert_reports(&bob, "another program answers there");

    let world = World::new();
    world.cluster.answer("shop-web", "/", 200, "this is {pod}");
    let port = world.cluster.node_port("shop", "shop-web");
    let _ = deploy(&world, port).run().expect_code(0);
    let bob = world.elsewhere(status(&world)).run().expect_code(0);
    assert_address(&bob, &format!("  http://localhost:{port}"));
    assert!(!bob.output().contains(INDISTINGUISHABLE), "{}", bob.output());
}

#[test]
fn port_of_another_app_is_rejected() {
    let (other, port) = another();
    other.cluster.answer("shop-web", "/", 200, "a blog");
    let world = World::new();
    let deployed = deploy(&world, port).run().expect_code(0);
    assert_address(&deployed, FORWARD);
    assert_reports(&deployed, "another program answers there");
}

#[test]
fn silent_port_is_not_printed() {
    let world = World::new();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let deployed = deploy(&world, port).run().expect_code(0);
    assert_address(&deployed, FORWARD);
    assert_reports(&deployed, &format!("http://localhost:{port} does not answer"));
}

#[test]
fn port_of_an_unrelated_container_is_rejected() {
    let world = World::with(
        todohost_testkit::Project::shop(),
        "docker-desktop",
        &[todohost_testkit::Rule::on("ps --filter publish=30000/tcp **")
            .prints("other-control-plane\n")],
    );
    let deployed = deploy(&world, 30000).run().expect_code(0);
    assert_address(&deployed, FORWARD);
    assert_reports(
        &deployed,
        "port 30000 of this machine belongs to the container other-control-plane",
    );
}
