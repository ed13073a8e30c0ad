//! Chart hooks at each of their events: run in order, waited for, and able to stop the operation.

use std::path::Path;

use todohost_testkit::{Behaviour, Finished};

use super::world::{API_KEY, World};

const HOOKS: &str = r#"{{- range $moment := list "pre-install" "post-install" "pre-upgrade" "post-upgrade" "pre-rollback" "post-rollback" "pre-delete" "post-delete" "test" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $moment }}
  annotations:
    helm.sh/hook: {{ $moment }}
    {{- with $.Values.policy }}
    helm.sh/hook-delete-policy: {{ . }}
    {{- end }}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: hook
          image: tools:1
{{- end }}
"#;

/// A project with a chart that has a hook for every event.
fn hooked() -> World {
    let world = World::new();
    world.project.write("chart/templates/hooks.yaml", HOOKS);
    world
}

/// The same project after a deploy.
fn deployed() -> World {
    let world = hooked();
    let _ = world.deploy().run().expect_code(0);
    world
}

/// The writes to the cluster since `from`: names of created hooks, `objects` for a write of the app and `deleted` for
/// its deletion.
fn happened(world: &World, from: usize) -> Vec<String> {
    let mut happened: Vec<String> = Vec::new();
    for write in world.cluster.writes().split_off(from) {
        let name = write.path.rsplit('/').next().unwrap_or_default().to_owned();
        let what = match (write.method.as_str(), write.path.contains("/jobs/")) {
            ("PATCH", true) => name,
            ("PATCH", false) if name == "shop-web" => "objects".to_owned(),
            ("DELETE", false) if name == "shop-web" => "deleted".to_owned(),
            _ => continue,
        };
        if happened.last() != Some(&what) {
            happened.push(what);
        }
    }
    happened
}

fn fails(world: &World, hook: &str) {
    let log = format!("no table for {API_KEY}\n");
    world.cluster.behaviour(hook, Behaviour::Exits { code: 3, log });
}

/// The next version does not start; the current one stays ready.
fn breaks(world: &World) {
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.cluster.behaviour_of_image("shop-web", image, Behaviour::Ready);
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 4, log: "no data\n".into() });
    world.project.write("web/server", "serve otherwise\n");
}

fn jobs(world: &World) -> Vec<String> {
    let named = |name: &String| name.strip_prefix("jobs.batch/").map(str::to_owned);
    world.cluster.names_in("shop").iter().filter_map(named).collect()
}

fn todohost(world: &World, line: &str) -> Finished {
    let finished = world.run(&format!("{line} --target docker-desktop"));
    world.assert_no_leak(&finished);
    finished
}

/// The files of the only failure report as `tar` lists them, and their content.
fn evidence(world: &World) -> (String, String) {
    let folder = world.project.home().join(".local/state/todohost/failed");
    let bundles: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(bundles.len(), 1, "{bundles:?}");
    (tar("-tzf", &bundles[0]), tar("-xzOf", &bundles[0]))
}

fn tar(action: &str, bundle: &Path) -> String {
    let output = std::process::Command::new("tar").arg(action).arg(bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts that the failure report has the hook's pod, with its log and its events.
fn assert_in_evidence(world: &World, hook: &str) {
    let (files, content) = evidence(world);
    for part in [&format!("/objects/Job/{hook}.json"), &format!("/logs/{hook}-"), "/hook.log\n"] {
        assert!(files.contains(part), "no {part} in:\n{files}");
    }
    for part in ["no table for [secret ", "Container ended with exit code 3"] {
        assert!(content.contains(part), "no {part} in:\n{content}");
    }
}

#[test]
fn hooks_run_around_install_upgrade_and_rollback() {
    let world = deployed();
    assert_eq!(happened(&world, 0), ["pre-install", "objects", "post-install"]);
    let before = world.cluster.writes().len();
    let finished = world.deploy().args(["--set", "greeting=bye", "--verbose"]).run();
    let finished = finished.expect_code(0);
    assert_eq!(happened(&world, before), ["pre-upgrade", "objects", "post-upgrade"]);
    let place = |text: &str| {
        let found = finished.stderr.find(text);
        found.unwrap_or_else(|| panic!("no {text} in:\n{}", finished.output()))
    };
    assert!(place("Deployment/shop-web 1/1 ready") < place("post-upgrade hook runs"));

    let before = world.cluster.writes().len();
    let _ = todohost(&world, "rollback").expect_code(0);
    assert_eq!(happened(&world, before), ["pre-rollback", "objects", "post-rollback"]);
    assert_eq!(world.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);
}

#[test]
fn rollback_of_a_failed_upgrade_runs_hooks_of_the_restored_revision() {
    let world = deployed();
    breaks(&world);
    let before = world.cluster.writes().len();
    let finished = world.deploy().run().expect_code(11);
    let expected = ["pre-upgrade", "objects", "pre-rollback", "objects", "post-rollback"];
    assert_eq!(happened(&world, before), expected, "{}", finished.output());
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
}

#[test]
fn hooks_run_around_deletion_and_are_deleted_too() {
    let world = deployed();
    let before = world.cluster.writes().len();
    let _ = todohost(&world, "delete --yes").expect_code(0);
    assert_eq!(happened(&world, before), ["pre-delete", "deleted", "post-delete"]);
    assert_eq!(world.cluster.names_in("shop"), Vec::<String>::new());
}

#[test]
fn post_install_failure_removes_the_app_and_is_in_the_report() {
    let world = hooked();
    fails(&world, "post-install");
    let finished = world.deploy().run().expect_code(11);
    for part in ["post-install hook Job/post-install failed", "exit code 3", "no table for "] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    world.assert_no_leak(&finished);
    world.assert_untouched();
    assert_in_evidence(&world, "post-install");
}

#[test]
fn post_upgrade_failure_rolls_back() {
    let world = deployed();
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    fails(&world, "post-upgrade");
    let finished = world.deploy().args(["--set", "greeting=bye"]).run().expect_code(11);
    assert!(finished.stderr.contains("rolled back to revision 1"), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
    world.assert_no_leak(&finished);
    assert_in_evidence(&world, "post-upgrade");
}

#[test]
fn hook_with_policy_hook_failed_is_in_the_report() {
    let world = hooked();
    world.project.append("chart/values.yaml", "policy: hook-failed\n");
    fails(&world, "pre-install");
    let before = world.cluster.writes().len();
    let finished = world.deploy().run().expect_code(11);
    assert_eq!(happened(&world, before), ["pre-install"], "{}", finished.output());
    world.assert_no_leak(&finished);
    world.assert_untouched();
    assert_in_evidence(&world, "pre-install");
}

#[test]
fn completed_hook_is_in_the_report_of_a_later_failure() {
    let world = deployed();
    world
        .cluster
        .behaviour("pre-upgrade", Behaviour::Exits { code: 0, log: "migrated to 7\n".into() });
    breaks(&world);
    let _ = world.deploy().run().expect_code(11);
    let (files, content) = evidence(&world);
    assert!(files.contains("/logs/pre-upgrade-"), "{files}");
    assert!(content.contains("migrated to 7"), "{content}");
}

#[test]
fn hook_failure_in_an_automatic_rollback_is_reported_and_objects_are_restored() {
    for hook in ["pre-rollback", "post-rollback"] {
        let world = deployed();
        let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
        breaks(&world);
        fails(&world, hook);
        let finished = world.deploy().run().expect_code(11);
        let expected = format!("{hook} hook Job/{hook} failed");
        for part in ["exit code 4", expected.as_str()] {
            assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
        }
        let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
        assert_eq!(before["spec"], after["spec"], "{}", finished.output());
        assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
    }
}

#[test]
fn hook_failure_in_a_requested_rollback_keeps_the_current_revision() {
    let world = deployed();
    let _ = world.deploy().args(["--set", "greeting=bye"]).run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    fails(&world, "pre-rollback");
    let finished = todohost(&world, "rollback").expect_code(11);
    let expected = "pre-rollback hook Job/pre-rollback failed";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed", "3 failed"]);
}

#[test]
fn pre_delete_failure_stops_deletion_and_a_retry_finishes() {
    let world = deployed();
    fails(&world, "pre-delete");
    let finished = todohost(&world, "delete --yes").expect_code(11);
    assert!(
        finished.stderr.contains("pre-delete hook Job/pre-delete failed"),
        "{}",
        finished.stderr
    );
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
    world.cluster.behaviour("pre-delete", Behaviour::Ready);
    let _ = todohost(&world, "delete --yes").expect_code(0);
    assert_eq!(world.cluster.names_in("shop"), Vec::<String>::new());
}

#[test]
fn post_delete_failure_is_reported_and_a_retry_finishes() {
    let world = deployed();
    fails(&world, "post-delete");
    let finished = todohost(&world, "delete --yes").expect_code(11);
    let expected = "post-delete hook Job/post-delete failed";
    assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    assert_eq!(world.cluster.get("deployments.apps", "shop", "shop-web"), None);
    world.cluster.behaviour("post-delete", Behaviour::Ready);
    let _ = todohost(&world, "delete --yes").expect_code(0);
    assert_eq!(world.cluster.names_in("shop"), Vec::<String>::new());
}

#[test]
fn succeeded_hooks_follow_their_delete_policy() {
    let world = deployed();
    assert_eq!(jobs(&world), ["post-install", "pre-install"]);
    let world = hooked();
    world.project.append("chart/values.yaml", "policy: hook-succeeded\n");
    let _ = world.deploy().run().expect_code(0);
    assert_eq!(jobs(&world), Vec::<String>::new());
}

#[test]
fn chart_tests_run_on_request_and_print_their_logs() {
    let world = deployed();
    assert!(!jobs(&world).contains(&"test".to_owned()));
    world.cluster.behaviour("test", Behaviour::Exits { code: 0, log: "all is well\n".into() });
    let finished = todohost(&world, "verify --tests").expect_code(0);
    for part in ["1 tests passed", "all is well"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    fails(&world, "test");
    let finished = todohost(&world, "verify --tests").expect_code(11);
    for part in ["test hook Job/test failed", "no table for "] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    assert_eq!(world.revisions(), ["1 deployed"], "a test changes no release");

    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let finished = todohost(&world, "verify --tests --verbose").expect_code(0);
    assert!(finished.stderr.contains("the chart has no tests"), "{}", finished.output());
}
