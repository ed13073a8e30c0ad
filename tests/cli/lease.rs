//! One deploy of a release at a time: a second one waits or is refused, and takes over the lease of a killed one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use todohost_testkit::{Behaviour, Host, Running};

use super::world::{World, assert_refusal};

const PATIENCE: Duration = Duration::from_mins(1);

/// A deploy by the user ada on this machine.
fn ada(world: &World) -> Host {
    world.deploy().variable("USER", "ada")
}

/// A deploy by the user bob on another machine.
fn bob(world: &World) -> Host {
    world.elsewhere(world.deploy())
}

fn lease(world: &World) -> Option<Value> {
    world.cluster.get("leases.coordination.k8s.io", "shop", "todohost.shop")
}

/// Creates or changes the lease as another client.
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
    assert!(lease(world).is_some(), "the deploy holds the lease");
    running
}

/// Makes the pods of the deploy ready.
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
fn second_deploy_names_the_holder_waits_and_continues_from_its_revision() {
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
fn second_deploy_of_the_same_sources_changes_nothing() {
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
fn simultaneous_deploys_run_one_after_the_other() {
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
fn lock_timeout_reports_the_holder_and_its_start_time() {
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
fn lease_of_a_killed_local_deploy_is_taken_over_at_once() {
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
fn lease_of_a_killed_remote_deploy_is_taken_over_after_expiry() {
    let world = World::new();
    let first = held_up(&world, bob(&world));
    first.kill();
    let _ = first.finish();
    let seconds = lease(&world).unwrap()["spec"]["leaseDurationSeconds"].as_u64().unwrap();
    // The holder's clock was years ahead; the wait must still last only as long as the lease.
    let ahead = json!("2099-01-01T00:00:00.000000Z");
    write_lease(&world, &json!({ "acquireTime": ahead, "renewTime": ahead }));
    let_go(&world);
    let began = Instant::now();
    let finished = ada(&world).run().expect_code(0);
    let expected = "waiting for bob@";
    assert!(finished.stderr.contains(expected), "no {expected} in:\n{}", finished.output());
    assert!(began.elapsed() >= Duration::from_secs(seconds), "it may have been alive");
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"], "{}", finished.output());
    assert_eq!(lease(&world), None);
}

#[test]
fn holder_with_a_wrong_clock_keeps_the_lease_by_renewing_it() {
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
    // Three times the duration of the lease.
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
fn deploy_without_its_lease_stops_writing() {
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

    // Bob's deploy never continues: the next deploy finishes the pending revision.
    let_go(&world);
    let _ = ada(&world).run().expect_code(0);
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"]);
}

#[test]
fn suspended_deploy_detects_its_replacement_and_keeps_the_new_objects() {
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
    // The first deploy tried to renew a lease that it had lost and to record its end.
    let writes = world.cluster.writes().split_off(before);
    let is_refused = |path: &str| path.ends_with("/todohost.shop") || path.ends_with(".shop.v1");
    assert!(writes.iter().all(|write| is_refused(&write.path)), "{writes:#?}");
    assert_eq!(lease(&world), None);
}
