//! Pods that never become ready: the diagnosis and the state left in the cluster.

use todohost_testkit::Behaviour;

use super::world::{World, assert_refusal};

#[test]
fn missing_image_on_the_node_is_reported() {
    let world = World::new();
    world.cluster.behaviour(
        "shop-web",
        Behaviour::Waiting {
            reason: "ErrImageNeverPull".into(),
            message: "Container image \"shop-web:x\" is not present with pull policy of Never"
                .into(),
        },
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn exiting_container_is_reported() {
    let world = World::new();
    world.cluster.behaviour(
        "shop-web",
        Behaviour::Exits { code: 3, log: "starting\ncannot open /data: no such file\n".into() },
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn failed_upgrade_is_rolled_back() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 1, log: "broken\n".into() });
    world.project.write("web/server", "serve otherwise\n");
    let running = world.deploy().spawn();
    // The previous version works: its pods become ready after the rollback.
    let image = before["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let wanted = image.as_str().unwrap().to_owned();
    world.cluster.behaviour_of_image("shop-web", &wanted, Behaviour::Ready);
    let finished = running.finish().expect_code(11);
    world.assert_no_leak(&finished);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
    assert!(finished.stderr.contains("rolled back to revision 1"), "{}", finished.output());
}

#[test]
fn oom_kill_is_reported_as_memory_limit() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::OutOfMemory { used: 63 << 20 });
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn recovered_container_does_not_fail_the_deploy() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::Recovers { exits: 1 });
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("exited once, with exit code 1"), "{}", finished.output());
}

#[test]
fn unschedulable_pods_are_reported() {
    let world = World::new();
    let message = "0/1 nodes are available: 1 Insufficient memory.".to_owned();
    world.cluster.behaviour("shop-web", Behaviour::Unschedulable { message });
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn exceeded_quota_is_reported() {
    let world = World::new();
    let message = "pods \"shop-web-1\" is forbidden: exceeded quota: small, requested: cpu=50m, used: cpu=0, limited: cpu=10m".to_owned();
    world.cluster.behaviour("shop-web", Behaviour::NotCreated { message });
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn json_events_have_the_facts_of_the_diagnosis() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 3, log: "no data\n".into() });
    let finished = world.deploy().args(["--output", "json"]).run().expect_code(11);
    world.assert_no_leak(&finished);
    let waits = finished.events_of("object-waiting");
    let crash = waits.iter().find(|event| event["reason"] == "CrashLoopBackOff").unwrap();
    assert_eq!(crash["object"]["name"], "shop-web");
    assert_eq!(crash["replicas"], serde_json::json!({"ready": 0, "updated": 1, "desired": 1}));
    assert!(crash["since_ms"].as_u64().unwrap() <= crash["at_ms"].as_u64().unwrap());
    assert!(crash["message"].as_str().unwrap().contains("exit code 3"));
    let findings = finished.events_of("finding");
    let found =
        findings.iter().find(|event| event["code"] == "health.crash-loop-back-off").unwrap();
    assert_eq!(found["evidence"][0], "web | no data");
}

#[test]
fn ready_within_on_the_command_line_overrides_the_project() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    let waited = |host: todohost_testkit::Host| {
        let finished = host.args(["--output", "json"]).run().expect_code(11);
        let steps = finished.events_of("step-finished");
        let verify = steps.iter().find(|event| event["step"] == "verify");
        verify.unwrap_or_else(|| panic!("{}", finished.output()))["elapsed_ms"].as_u64().unwrap()
    };
    world.project.replace(
        "todohost.toml",
        "chart = \"chart\"",
        "chart = \"chart\"\nready-within = \"2s\"",
    );
    let by_project = waited(world.deploy());
    assert!((2000..7000).contains(&by_project), "{by_project} ms");
    let by_argument = waited(world.deploy().args(["--ready-within", "8s"]));
    assert!((8000..13000).contains(&by_argument), "{by_argument} ms");
}

#[test]
fn live_check_judges_running_objects() {
    let world = World::new();
    world.add_allowed_check("replicas-check", "");
    let finished = world.deploy().args(["--output", "json"]).run().expect_code(0);
    let judged = finished.events_of("finding");
    let live = judged.iter().find(|event| event["code"] == "replicas-check.enough");
    let live = live.unwrap_or_else(|| panic!("{}", finished.output()));
    assert_eq!(live["message"], "Deployment/shop-web has 1 of 1 ready replicas");
    // `verify` runs live checks without a deploy.
    let finished = world.run("verify --target docker-desktop --output json").expect_code(0);
    let again = finished.events_of("finding");
    assert!(again.iter().any(|event| event["code"] == "replicas-check.enough"), "{again:?}");
}

#[test]
fn failing_live_check_rolls_back() {
    let world = World::new();
    world.add_allowed_check("replicas-check", "options = { ready = 2 }\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}
