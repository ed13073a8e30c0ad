//! What a failed deploy leaves: nothing, or what the user asked for; and always its evidence.

use std::path::PathBuf;

use todohost_testkit::{Behaviour, Finished, leak};

use super::world::{API_KEY, CANARY, World, assert_refusal};

fn breaks(world: &World) {
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 3, log: "no schema\n".into() });
    world.project.write("web/server", "serve otherwise\n");
}

/// The version before stays good.
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

/// What `tar` reads in a bundle.
fn content(bundle: &PathBuf) -> String {
    let output = std::process::Command::new("tar").arg("-xzOf").arg(bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn assert_evidence(world: &World, finished: &Finished) {
    let found = bundles(world);
    assert_eq!(found.len(), 1, "{}", finished.output());
    let path = found[0].display().to_string();
    assert!(finished.output().contains(&path), "{path} is not told:\n{}", finished.output());
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
fn the_evidence_of_a_failed_revision_is_kept_without_its_secrets() {
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
fn a_failed_first_deploy_has_its_evidence_too() {
    let world = World::new();
    breaks(&world);
    let finished = world.deploy().run().expect_code(11);
    assert_evidence(&world, &finished);
    world.assert_untouched();
}

#[test]
fn a_failed_upgrade_stays_where_the_user_wants_that_and_the_next_deploy_mends_it() {
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
    assert!(finished.stderr.contains("is left as it is"), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_ne!(before["spec"], after["spec"]);
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"]);

    // Back to what it was: what only the failed revision had goes, too.
    world.project.write("web/server", &good);
    std::fs::remove_file(world.project.root().join("chart/templates/extra.yaml")).unwrap();
    let finished = world.deploy().run().expect_code(0);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
    assert_eq!(world.cluster.get("configmaps", "shop", "extra"), None, "{}", finished.output());
}

#[test]
fn a_failed_first_deploy_stays_where_the_user_wants_that_and_the_next_deploy_mends_it() {
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
fn an_image_that_went_before_a_rollback_is_told() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    keeps_good(&world);
    breaks(&world);
    world.tools.unset(image);
    let finished = world.deploy().run().expect_code(11);
    let told = format!("{image} of revision 1 is no longer there");
    assert!(finished.stderr.contains(&told), "{}", finished.output());
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
fn an_older_revision_comes_back_as_a_new_one() {
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

    // By its number, and what is not kept is told.
    let _ = world.run("rollback 2 --target docker-desktop").expect_code(0);
    let finished = world.run("rollback 9 --target docker-desktop");
    assert_refusal!(world, finished);
}

#[test]
fn a_rollback_to_what_is_in_force_changes_nothing() {
    let (world, _) = twice_deployed();
    let before = world.cluster.writes().len();
    let finished = world.run("rollback 2 --target docker-desktop").expect_code(0);
    assert!(finished.stderr.contains("revision 2 stays"), "{}", finished.output());
    assert_eq!(world.cluster.writes().len(), before);
}

#[test]
fn a_rollback_whose_image_went_is_refused_before_anything_is_touched() {
    let (world, image) = twice_deployed();
    world.tools.unset(&image);
    let before = world.cluster.writes().len();
    let finished = world.run("rollback --target docker-desktop");
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before);
}
