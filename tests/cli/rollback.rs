//! Failed deploys: rolled back, or kept on request, and always with a failure report.

use std::path::PathBuf;

use todohost_testkit::{Behaviour, Finished, leak};

use super::world::{API_KEY, CANARY, World, assert_refusal};

fn breaks(world: &World) {
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 3, log: "no schema\n".into() });
    world.project.write("web/server", "serve otherwise\n");
}

/// The previous version stays ready.
fn keeps_good(world: &World) {
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.cluster.behaviour_of_image("shop-web", image, Behaviour::Ready);
}

fn bundles(world: &World) -> Vec<PathBuf> {
    let folder = world.project.home().join(".local/state/todohost/failed");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The content of a failure report, read by `tar`.
fn content(bundle: &PathBuf) -> String {
    let output = std::process::Command::new("tar").arg("-xzOf").arg(bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn assert_evidence(world: &World, finished: &Finished) {
    let found = bundles(world);
    assert_eq!(found.len(), 1, "{}", finished.output());
    let path = found[0].display().to_string();
    assert!(finished.output().contains(&path), "{path} is not printed:\n{}", finished.output());
    let text = content(&found[0]);
    for part in
        ["no schema", "exit code 3", "BackOff", "\"kind\": \"Deployment\"", "\"kind\": \"Secret\""]
    {
        assert!(text.contains(part), "no {part} in {path}");
    }
    let bytes = std::fs::read(&found[0]).unwrap();
    for secret in [CANARY, API_KEY] {
        assert_eq!(leak::find(&bytes, secret), None, "{secret} is in {path}");
    }
}

#[test]
fn failure_report_is_kept_without_secrets() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    keeps_good(&world);
    breaks(&world);
    let finished = world.deploy().run().expect_code(11);
    world.assert_no_leak(&finished);
    assert_evidence(&world, &finished);
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);
}

#[test]
fn failed_first_deploy_has_a_report() {
    let world = World::new();
    breaks(&world);
    let finished = world.deploy().run().expect_code(11);
    assert_evidence(&world, &finished);
    world.assert_untouched();
}

#[test]
fn no_rollback_keeps_a_failed_upgrade_and_the_next_deploy_continues_it() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let good = world.project.read("web/server");
    keeps_good(&world);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    breaks(&world);
    world.project.write(
        "chart/templates/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n",
    );
    let finished = world.deploy().args(["--no-rollback"]).run().expect_code(11);
    assert!(finished.stderr.contains("kept failed revision 2"), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_ne!(before["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);

    // The next deploy also deletes objects that only the failed revision had.
    world.project.write("web/server", &good);
    std::fs::remove_file(world.project.root().join("chart/templates/extra.yaml")).unwrap();
    let finished = world.deploy().run().expect_code(0);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
    assert_eq!(world.cluster.get("configmaps", "shop", "extra"), None, "{}", finished.output());
}

#[test]
fn no_rollback_keeps_a_failed_first_deploy_and_the_next_deploy_continues_it() {
    let world = World::new();
    breaks(&world);
    let _ = world.deploy().args(["--keep"]).run().expect_code(11);
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
    assert_eq!(world.revisions(), ["1 failed"]);
    world.cluster.behaviour("shop-web", Behaviour::Ready);
    world.project.write("web/server", "serve well\n");
    let finished = world.deploy().run().expect_code(0);
    assert_eq!(world.revisions(), ["1 failed", "2 deployed"], "{}", finished.output());
}

#[test]
fn image_removed_before_a_rollback_is_reported() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    keeps_good(&world);
    breaks(&world);
    world.tools.unset(image);
    let finished = world.deploy().run().expect_code(11);
    let expected = format!("image {image} (revision 1) is gone");
    assert!(finished.stderr.contains(&expected), "{}", finished.output());
}

/// Two revisions, and the image of the first.
fn twice_deployed() -> (World, String) {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.project.write("web/server", "serve otherwise\n");
    let _ = world.deploy().args(["--set", "greeting=bye"]).run().expect_code(0);
    (world, image.to_owned())
}

#[test]
fn rollback_deploys_an_older_revision_as_a_new_one() {
    let (world, image) = twice_deployed();
    let builds = || world.tools.lines().iter().filter(|it| it.contains("buildx build")).count();
    let before = builds();
    let finished = world.run("rollback --target docker-desktop").expect_code(0);
    world.assert_no_leak(&finished);
    assert!(finished.stderr.contains("as revision 3"), "{}", finished.output());
    assert_eq!(world.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], image.as_str());
    assert_eq!(container["env"][0]["value"], "hello");
    let secret = world.cluster.get("secrets", "shop", "shop-secrets").unwrap();
    assert!(leak::find(secret.to_string().as_bytes(), CANARY).is_some());
    assert_eq!(builds(), before, "nothing is built");

    // Roll back by number; an unknown number is reported.
    let _ = world.run("rollback 2 --target docker-desktop").expect_code(0);
    let finished = world.run("rollback 9 --target docker-desktop");
    assert_refusal!(world, finished);
}

#[test]
fn rollback_to_the_current_revision_changes_nothing() {
    let (world, _) = twice_deployed();
    let before = world.cluster.writes().len();
    let finished = world.run("rollback 2 --target docker-desktop").expect_code(0);
    assert!(finished.stderr.contains("revision 2 stays"), "{}", finished.output());
    assert_eq!(world.cluster.writes().len(), before);
}

#[test]
fn rollback_to_a_revision_with_a_missing_image_is_refused_before_any_write() {
    let (world, image) = twice_deployed();
    world.tools.unset(&image);
    let before = world.cluster.writes().len();
    let finished = world.run("rollback --target docker-desktop");
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before);
}
