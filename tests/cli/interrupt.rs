//! Ctrl-C in each step: exit code 130, nothing half-made, no child left.

#![cfg(unix)]

use std::time::Duration;

use todohost_testkit::cluster::Effect;
use todohost_testkit::{Behaviour, Fault, Finished};

use super::world::World;

const PATIENCE: Duration = Duration::from_mins(1);

fn hang(method: &str, path: &str) -> Fault {
    Fault { method: method.into(), path: path.into(), times: None, effect: Effect::Hang }
}

fn assert_cancelled(world: &World, finished: &Finished) {
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert!(finished.stderr.contains("help:"), "{}", finished.output());
    world.assert_no_leak(finished);
}

/// Whether a process is there and no zombie.
fn runs(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/status"))
        .is_ok_and(|status| !status.contains("State:\tZ") && !status.contains("State:\tX"))
}

#[test]
fn before_anything_is_known() {
    let world = World::new();
    world.cluster.fault(hang("GET", "/version"));
    world.cluster.fault(hang("GET", "/api"));
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, |_| true);
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
}

#[test]
fn while_an_image_is_built() {
    let world = World::new();
    world.tools.set("build-holds");
    let running = world.deploy().spawn();
    let build = world.tools.wait_for("buildx build", PATIENCE);
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
    assert!(!runs(build.process), "the build still runs");
}

#[test]
fn while_objects_are_applied() {
    let world = World::new();
    // What is under way is finished before it is taken back: an API server that never answers
    // would hold the run until its deadline.
    world.cluster.fault(Fault {
        method: "PATCH".into(),
        path: "/deployments/".into(),
        times: None,
        effect: Effect::Delay(Duration::from_secs(2)),
    });
    let running = world.deploy().spawn();
    world
        .cluster
        .wait_for_request(PATIENCE, |seen| seen.writes() && seen.path.contains("/deployments/"));
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
}

#[test]
fn while_pods_are_awaited() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| {
        seen.query.contains("watch=true") && seen.path.contains("/pods")
    });
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
}

#[test]
fn while_an_upgrade_is_awaited_goes_back() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = before["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    world.cluster.behaviour_of_image("shop-web", image.as_str().unwrap(), Behaviour::Ready);
    world.project.write("web/server", "serve slowly\n");
    let asked = world.cluster.requests().len();
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, {
        let cluster = &world.cluster;
        move |seen| {
            seen.query.contains("watch=true")
                && seen.path.contains("/pods")
                && cluster.requests()[asked..].iter().any(|later| later == seen)
        }
    });
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
}
