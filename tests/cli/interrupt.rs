//! Ctrl-C during each step: exit code 130, no partial changes, no child process left.

#![cfg(unix)]

use std::time::Duration;

use todohost_testkit::cluster::Effect;
use todohost_testkit::{Behaviour, Fault, Finished};

use super::world::{World, runs};

const PATIENCE: Duration = Duration::from_mins(1);

fn hang(method: &str, path: &str) -> Fault {
    Fault { method: method.into(), path: path.into(), times: None, effect: Effect::Hang }
}

fn assert_cancelled(world: &World, finished: &Finished) {
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert!(finished.stderr.contains("help:"), "{}", finished.output());
    world.assert_no_leak(finished);
}

#[test]
fn during_the_first_request() {
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
fn during_a_base_image_pull() {
    let world = World::new();
    world.project.replace("web/Dockerfile", "FROM scratch", "FROM base:1");
    world.tools.set("pull-holds");
    let running = world.deploy().spawn();
    let pull = world.tools.wait_for("docker pull", PATIENCE);
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
    assert!(!runs(pull.process), "the pull still runs");
}

#[test]
fn during_a_request_of_a_check() {
    let world = World::new();
    world.add_allowed_check("replicas-check", "");
    world.cluster.fault(hang("GET", "/nodes"));
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| seen.path.contains("/nodes"));
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
}

#[test]
fn during_render() {
    let world = World::new();
    let lookup = "{{- $_ := lookup \"v1\" \"ConfigMap\" .Release.Namespace \"settings\" }}\n";
    let template = "chart/templates/service.yaml";
    world.project.write(template, &format!("{lookup}{}", world.project.read(template)));
    world.cluster.fault(hang("GET", "/configmaps/settings"));
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| seen.path.contains("/configmaps/settings"));
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
}

#[test]
fn during_the_lookup_of_images_on_nodes() {
    let world = World::new();
    world.tools.set("deliver-holds");
    let running = world.deploy().spawn();
    // The lookups: before the build, after it, and before the delivery.
    let asking = world.tools.wait_for_nth("image inspect", 3, PATIENCE);
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
    assert!(!runs(asking.process), "docker still runs");
}

#[test]
fn during_an_image_build() {
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
fn during_delivery_of_images() {
    let world = World::kind();
    world.tools.set("save-holds");
    let running = world
        .host()
        .args(["deploy", "--target", "kind", "--set", "secrets.databaseUrl=canary-7f3a91c2"])
        .spawn();
    let save = world.tools.wait_for("docker save", PATIENCE);
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
    assert!(!runs(save.process), "docker save still runs");
}

#[test]
fn during_apply() {
    let world = World::new();
    world.cluster.fault(Fault {
        method: "PATCH".into(),
        path: "/deployments/".into(),
        times: None,
        effect: Effect::Delay(Duration::from_secs(1)),
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

/// Interrupts a first deploy during a write without an answer, after `before` answered writes of the same kind.
fn stop_at_a_write(method: &str, path: &str, before: usize, effect: Effect) {
    let world = World::new();
    let fault = |times, effect| Fault { method: method.into(), path: path.into(), times, effect };
    if before > 0 {
        world.cluster.fault(fault(Some(before), Effect::Delay(Duration::ZERO)));
    }
    world.cluster.fault(fault(Some(1), effect));
    let running = world.deploy().spawn();
    world.cluster.wait_for_requests(before + 1, PATIENCE, |seen| {
        seen.writes() && seen.method == method && seen.path.contains(path)
    });
    let began = std::time::Instant::now();
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    world.assert_untouched();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn during_an_apply_without_answer() {
    stop_at_a_write("PATCH", "/deployments/", 0, Effect::Hang);
}

#[test]
fn during_an_apply_that_took_effect_without_answer() {
    stop_at_a_write("PATCH", "/deployments/", 0, Effect::Swallow);
}

#[test]
fn during_creation_of_the_namespace_without_answer() {
    stop_at_a_write("POST", "/namespaces", 0, Effect::Swallow);
}

#[test]
fn during_creation_of_the_lease_without_answer() {
    stop_at_a_write("POST", "/leases", 0, Effect::Swallow);
}

#[test]
fn during_creation_of_the_lease() {
    stop_at_a_write("POST", "/leases", 0, Effect::Delay(Duration::from_secs(1)));
}

#[test]
fn during_creation_of_the_salt_without_answer() {
    stop_at_a_write("POST", "/secrets", 0, Effect::Swallow);
}

#[test]
fn during_creation_of_the_revision_without_answer() {
    stop_at_a_write("POST", "/secrets", 1, Effect::Swallow);
}

#[test]
fn during_an_upgrade_without_answer_rolls_back() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let fault = |times, effect| Fault {
        method: "PATCH".into(),
        path: "/deployments/".into(),
        times: Some(times),
        effect,
    };
    // Two dry runs of a change come before its write.
    world.cluster.fault(fault(2, Effect::Delay(Duration::ZERO)));
    world.cluster.fault(fault(1, Effect::Swallow));
    world.project.write("web/server", "serve slowly\n");
    let running = world.deploy().spawn();
    // The first write belongs to the first deploy.
    world.cluster.wait_for_requests(2, PATIENCE, |seen| {
        seen.writes() && seen.path.contains("/deployments/")
    });
    running.interrupt();
    let finished = running.finish();
    assert_cancelled(&world, &finished);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
    assert!(finished.stderr.contains("rolled back to revision 1"), "{}", finished.output());
}

#[test]
fn unreachable_cluster_during_rollback_lists_leftovers_and_cleanup_commands() {
    let world = World::new();
    world.cluster.fault(hang("PATCH", "/deployments/"));
    let running = world.deploy().spawn();
    world
        .cluster
        .wait_for_request(PATIENCE, |seen| seen.writes() && seen.path.contains("/deployments/"));
    world.cluster.fault(hang("", ""));
    let began = std::time::Instant::now();
    running.interrupt();
    let finished = running.finish();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    world.assert_no_leak(&finished);
    for part in [
        "stopped by the user; could not roll back, changes remain in the cluster",
        "Namespace/shop may have been created",
        "Secret/sh.helm.release.v1.shop.v1 was created",
        "Deployment/shop-web may have been created",
        "todohost deploy --target docker-desktop",
        "kubectl --context docker-desktop delete namespace/shop",
    ] {
        assert!(finished.stderr.contains(part), "no {part:?} in:\n{}", finished.output());
    }
    // The printed command works.
    world.cluster.heal();
    let _ = world.deploy().run().expect_code(0);
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
}

#[test]
fn during_verify() {
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
fn during_verify_of_an_upgrade_rolls_back() {
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
