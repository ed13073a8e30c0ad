//! Deploys during trouble in the cluster: a terminating namespace, a denying policy, an API server that restarts.

use std::time::Duration;

use serde_json::json;
use todohost_testkit::cluster::Effect;
use todohost_testkit::{Behaviour, Fault, FaultProxy, Refusal};

use super::world::{World, assert_refusal};

const PATIENCE: Duration = Duration::from_mins(1);

/// Duration of an API server's restart.
const RESTART: Duration = Duration::from_secs(5);

/// Another client deletes the namespace; its objects keep it in the state Terminating.
fn terminate(world: &World) {
    world.cluster.write_as(
        "kubectl",
        &json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "shop", "deletionTimestamp": "2026-02-08T10:00:00Z" } }),
    );
}

fn refuse(method: &str, path: &str, times: Option<usize>, refusal: Refusal) -> Fault {
    let effect = Effect::Refuse(refusal);
    Fault { method: method.into(), path: path.into(), times, effect }
}

fn denial() -> Refusal {
    let message = "admission webhook \"owners.example.org\" denied the request: every Deployment needs the label owner";
    Refusal::new(403, "Forbidden", message)
}

#[test]
fn deploy_into_a_terminating_namespace_is_refused() {
    let world = World::new();
    terminate(&world);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn namespace_deletion_during_a_deploy_fails_it_without_leftovers() {
    let world = World::new();
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    let running = world.deploy().args(["--ready-within", "4s"]).spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| {
        seen.query.contains("watch=true") && seen.path.contains("/pods")
    });
    terminate(&world);
    world.cluster.delete("deployments.apps", "shop", "shop-web");
    let finished = running.finish().expect_code(11);
    assert!(finished.stderr.contains("Deployment/shop-web"), "{}", finished.output());
    world.assert_untouched();
}

#[test]
fn webhook_denial_in_the_dry_run_is_reported_and_nothing_is_applied() {
    let world = World::new();
    world.cluster.fault(refuse("PATCH", "/deployments/", None, denial()));
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn webhook_denial_after_the_dry_run_is_reported_and_rolled_back() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let effect = Effect::Delay(Duration::ZERO);
    let (method, path) = ("PATCH".to_owned(), "/deployments/".to_owned());
    world.cluster.fault(Fault { method, path, times: Some(1), effect });
    world.cluster.fault(refuse("PATCH", "/deployments/", Some(1), denial()));
    world.project.write(
        "chart/templates/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n",
    );
    let finished = world.deploy().args(["--set", "greeting=bye"]).run();
    assert_eq!(finished.code(), Some(10), "{}", finished.output());
    for part in ["owners.example.org", "rolled back to revision 1"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(world.cluster.get("configmaps", "shop", "extra"), None, "{}", finished.output());
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
}

#[test]
fn webhook_outage_during_apply_is_reported_and_unchanged_objects_need_no_rollback() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let effect = Effect::Delay(Duration::ZERO);
    let (method, path) = ("PATCH".to_owned(), "/deployments/".to_owned());
    world.cluster.fault(Fault { method, path, times: Some(1), effect });
    let message = "Internal error occurred: failed calling webhook \"owners.example.org\": failed to call webhook: connection refused";
    let silent = Refusal::new(500, "InternalError", message);
    world.cluster.fault(refuse("PATCH", "/deployments/", None, silent));
    world.project.write(
        "chart/templates/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n",
    );
    let finished = world.deploy().args(["--set", "greeting=bye"]).run();
    assert_eq!(finished.code(), Some(5), "{}", finished.output());
    for part in [
        "the cluster's webhook owners.example.org did not answer: cannot apply Deployment/shop-web",
        "rolled back to revision 1",
    ] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(world.cluster.get("configmaps", "shop", "extra"), None, "{}", finished.output());
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
}

#[test]
fn webhook_without_dry_run_support_does_not_block_a_deploy() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let message = "admission webhook \"audit.example.org\" does not support dry run";
    let no_dry_run =
        || refuse("PATCH", "/services/", Some(1), Refusal::new(400, "BadRequest", message));
    // Objects without changes are not sent in the dry run.
    world.cluster.fault(no_dry_run());
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
    let finished = world.deploy().args(["--set", "service.port=8001"]).run().expect_code(0);
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed"], "{}", finished.output());
    world.cluster.fault(no_dry_run());
    let secrets = format!("secrets.databaseUrl={}", super::world::DATABASE);
    let diff = world.host().args(["diff", "--target", "docker-desktop", "--set", &secrets]);
    let diff = diff.args(["--set", "service.port=8002"]).run().expect_code(2);
    let expected = "a webhook of the cluster answers no dry run";
    assert!(diff.stdout.contains(expected), "{}", diff.output());
}

/// Connects the host through a proxy that can be stopped and started.
fn by_proxy(world: &World) -> FaultProxy {
    let proxy = FaultProxy::before(world.cluster.address());
    std::fs::write(world.project.kubeconfig(), proxy.kubeconfig("docker-desktop")).unwrap();
    proxy
}

#[test]
fn api_server_restart_during_apply_is_waited_for() {
    let world = World::new();
    let mut proxy = by_proxy(&world);
    let effect = Effect::Delay(Duration::from_secs(1));
    let (method, path) = ("PATCH".to_owned(), "/deployments/".to_owned());
    world.cluster.fault(Fault { method, path, times: None, effect });
    let running = world.deploy().spawn();
    world
        .cluster
        .wait_for_request(PATIENCE, |seen| seen.writes() && seen.path.contains("/deployments/"));
    proxy.go_away();
    std::thread::sleep(RESTART);
    proxy.come_back();
    let finished = running.finish().expect_code(0);
    assert_eq!(world.revisions(), ["1 deployed"], "{}", finished.output());
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
}

#[test]
fn api_server_restart_during_verify_is_waited_for() {
    let world = World::new();
    let mut proxy = by_proxy(&world);
    world.cluster.behaviour("shop-web", Behaviour::NeverReady);
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| {
        seen.query.contains("watch=true") && seen.path.contains("/pods")
    });
    proxy.go_away();
    world.cluster.behaviour("shop-web", Behaviour::Ready);
    world.cluster.write_as(
        "kubelet",
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop-web", "namespace": "shop", "annotations": { "seen": "yes" } } }),
    );
    std::thread::sleep(RESTART);
    proxy.come_back();
    let finished = running.finish().expect_code(0);
    assert_eq!(world.revisions(), ["1 deployed"], "{}", finished.output());
}

#[test]
fn api_server_restart_during_rollback_is_waited_for() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = before["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.cluster.behaviour_of_image("shop-web", image, Behaviour::Ready);
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 4, log: "no data\n".into() });
    world.project.write("web/server", "serve otherwise\n");
    let mut proxy = by_proxy(&world);
    let mut running = world.deploy().spawn();
    running.wait_for_output("rolling back to the previous revision");
    proxy.go_away();
    std::thread::sleep(RESTART);
    proxy.come_back();
    let finished = running.finish().expect_code(11);
    assert!(finished.stderr.contains("exit code 4"), "{}", finished.output());
    assert!(finished.stderr.contains("rolled back to revision 1"), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
}
