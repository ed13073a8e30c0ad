//! One deploy of a release at a time: the second waits or is refused, and nobody waits for the dead.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use todohost_testkit::{Behaviour, Host, Running};

use super::world::{World, assert_refusal};

const PATIENCE: Duration = Duration::from_mins(1);

/// A deploy by Ada, on her machine.
fn ada(world: &World) -> Host {
    world.deploy().variable("USER", "ada")
}

/// A deploy by Bob, on his.
fn bob(world: &World) -> Host {
    world.elsewhere(world.deploy())
}

fn lease(world: &World) -> Option<Value> {
    world.cluster.get("leases.coordination.k8s.io", "shop", "todohost.shop")
}

/// Somebody writes into the lease, or makes it.
fn write_lease(world: &World, spec: &Value) {
    let name = json!({ "name": "todohost.shop", "namespace": "shop" });
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": name, "spec": spec });
    world.cluster.write_as("somebody", &lease);
}

/// A deploy that holds the lease and waits for its pods.
fn held_up(world: &World, host: Host) -> Running {
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    let running = host.args(["--ready-within", "2m"]).spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| {
        seen.query.contains("watch=true") && seen.path.contains("/pods")
    });
    assert!(lease(world).is_some(), "who deploys holds the lease");
    running
}

/// Its pods become ready after all.
fn let_go(world: &World) {
    world.cluster.behaviour("shop-web", Behaviour::Ready);
    world.cluster.write_as(
        "kubelet",
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop-web", "namespace": "shop", "annotations": { "seen": "yes" } } }),
    );
}

fn greeting(world: &World) -> Value {
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"].clone()
}

#[test]
fn a_second_deploy_waits_says_for_whom_and_goes_on_from_what_the_first_made() {
    let world = World::new();
    let first = held_up(&world, ada(&world));
    let mut second = bob(&world).args(["--set", "greeting=bye"]).spawn();
    second.wait_for_output("waiting for ada@");
    assert_eq!(world.revisions(), ["1 pending-install"]);
    let_go(&world);
    let first = first.finish().expect_code(0);
    let second = second.finish().expect_code(0);
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(greeting(&world), "bye");
    assert!(second.stderr.contains(", who has been deploying since 20"), "{}", second.output());
    assert!(!first.stderr.contains("waiting for"), "{}", first.output());
    assert_eq!(lease(&world), None, "it is given back");
    world.assert_no_leak(&second);
}

#[test]
fn a_second_deploy_of_the_same_finds_nothing_to_do() {
    let world = World::new();
    let first = held_up(&world, ada(&world));
    let mut second = bob(&world).spawn();
    second.wait_for_output("waiting for ada@");
    let_go(&world);
    let _ = first.finish().expect_code(0);
    let second = second.finish().expect_code(0);
    assert!(second.stderr.contains("revision 1 stays"), "{}", second.output());
    assert_eq!(world.revisions(), ["1 deployed"]);
}

#[test]
fn two_deploys_that_begin_at_the_same_moment_follow_each_other() {
    let world = World::new();
    let ones = [ada(&world), bob(&world)].map(Host::spawn);
    let outputs = ones.map(|one| one.finish().expect_code(0).output());
    assert_eq!(world.revisions(), ["1 deployed"], "{outputs:#?}");
    let others =
        [ada(&world).args(["--set", "greeting=a"]), bob(&world).args(["--set", "greeting=b"])];
    let outputs = others.map(Host::spawn).map(|one| one.finish().expect_code(0).output());
    let states = ["1 superseded", "2 superseded", "3 deployed"];
    assert_eq!(world.revisions(), states, "{outputs:#?}");
    assert_eq!(lease(&world), None);
}

#[test]
fn who_does_not_want_to_wait_is_told_who_holds_it_and_since_when() {
    let world = World::new();
    let _ = ada(&world).run().expect_code(0);
    write_lease(
        &world,
        &json!({ "holderIdentity": "carol@desk/ff", "leaseDurationSeconds": 60,
            "acquireTime": "2026-02-08T10:00:00.000000Z" }),
    );
    let before = world.cluster.writes();
    let not_long = |host: Host| host.args(["--lock-timeout", "1s"]);
    let command = |line: &str| {
        let target = ["--target", "docker-desktop"];
        world.host().args(line.split_whitespace()).args(target)
    };
    for host in [ada(&world), command("rollback"), command("delete --yes")] {
        let finished = not_long(host).run();
        assert_refusal!(world, finished);
    }
    assert_eq!(world.cluster.writes(), before);
}

#[test]
fn a_deploy_that_was_killed_on_this_machine_is_taken_over_at_once() {
    let world = World::new();
    let first = held_up(&world, ada(&world));
    first.kill();
    let _ = first.finish();
    world.cluster.behaviour("shop-web", Behaviour::Ready);
    let finished = ada(&world).args(["--set", "greeting=bye"]).run().expect_code(0);
    assert!(!finished.stderr.contains("waiting for"), "{}", finished.output());
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"], "{}", finished.output());
    assert_eq!(greeting(&world), "bye");
    assert_eq!(lease(&world), None);
}

#[test]
fn a_deploy_that_was_killed_on_another_machine_is_taken_over_once_its_lease_ran_out() {
    let world = World::new();
    let first = held_up(&world, bob(&world));
    first.kill();
    let _ = first.finish();
    let seconds = lease(&world).unwrap()["spec"]["leaseDurationSeconds"].as_u64().unwrap();
    // Its clock was years ahead, which is nobody's reason to wait for years.
    let ahead = json!("2099-01-01T00:00:00.000000Z");
    write_lease(&world, &json!({ "acquireTime": ahead, "renewTime": ahead }));
    let_go(&world);
    let began = Instant::now();
    let finished = ada(&world).run().expect_code(0);
    let told = "waiting for bob@";
    assert!(finished.stderr.contains(told), "no {told} in:\n{}", finished.output());
    assert!(began.elapsed() >= Duration::from_secs(seconds), "it may have been alive");
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"], "{}", finished.output());
    assert_eq!(lease(&world), None);
}

#[test]
fn a_holder_whose_clock_is_wrong_is_waited_for_as_long_as_it_renews() {
    let world = World::new();
    let _ = ada(&world).run().expect_code(0);
    let (past, duration) = (json!("1999-12-31T23:59:59.000000Z"), 2);
    let renew = |count: u32| {
        write_lease(
            &world,
            &json!({ "holderIdentity": "carol@desk/ff", "leaseDurationSeconds": duration,
                "acquireTime": past, "renewTime": past, "leaseTransitions": count }),
        );
    };
    renew(0);
    let mut waiting = ada(&world).args(["--set", "greeting=bye"]).spawn();
    waiting.wait_for_output("waiting for carol@desk");
    // Three times as long as its lease lasts.
    for count in 1..=12 {
        std::thread::sleep(Duration::from_millis(500));
        renew(count);
        assert!(waiting.runs(), "{}", waiting.finish().output());
        assert_eq!(world.revisions(), ["1 deployed"]);
    }
    let _ = waiting.finish().expect_code(0);
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed"]);
}

#[test]
fn a_deploy_that_lost_its_lease_stops_and_touches_nothing_more() {
    let world = World::new();
    let first = held_up(&world, ada(&world));
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    write_lease(&world, &json!({ "holderIdentity": "bob@desk/ff", "leaseDurationSeconds": 1 }));
    let before = world.cluster.writes().len();
    let finished = first.finish();
    assert_refusal!(world, finished);
    let writes = world.cluster.writes().split_off(before);
    assert!(
        writes.iter().all(|write| write.path.ends_with("/leases/todohost.shop")),
        "{writes:#?}"
    );
    assert_eq!(lease(&world).unwrap()["spec"]["holderIdentity"], "bob@desk/ff");
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(deployment["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 pending-install"]);

    // Bob never comes back: the next one finishes what was begun.
    let_go(&world);
    let _ = ada(&world).run().expect_code(0);
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"]);
}

#[test]
fn a_deploy_that_slept_too_long_finds_itself_replaced_and_leaves_what_the_other_made() {
    let world = World::new();
    let first = held_up(&world, ada(&world));
    first.pause();
    world.cluster.behaviour("shop-web", Behaviour::Ready);
    let second = bob(&world).args(["--set", "greeting=bye"]).run().expect_code(0);
    assert!(second.stderr.contains("waiting for ada@"), "{}", second.output());
    let before = world.cluster.writes().len();
    first.resume();
    let first = first.finish().expect_code(10);
    assert!(first.stderr.contains("another deploy took release shop over"), "{}", first.output());
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"]);
    assert_eq!(greeting(&world), "bye");
    // It tried to renew what is no longer its own, and to write down its end.
    let writes = world.cluster.writes().split_off(before);
    let is_refused = |path: &str| path.ends_with("/todohost.shop") || path.ends_with(".shop.v1");
    assert!(writes.iter().all(|write| is_refused(&write.path)), "{writes:#?}");
    assert_eq!(lease(&world), None);
}
