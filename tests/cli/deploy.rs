//! Successful deploys, and a second deploy without changes.

use serde_json::json;

use super::world::{API_KEY, CANARY, World, assert_refusal};

fn revisions(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world
        .cluster
        .names_in("shop")
        .into_iter()
        .filter_map(|name| name.strip_prefix("secrets/sh.helm.release.v1.").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn deployed_app_has_its_secrets_only_in_secret_objects() {
    let world = World::new();
    let finished = world.deploy().run().expect_code(0);
    world.assert_no_leak(&finished);
    assert_eq!(world.tools.unmatched(), Vec::<String>::new());
    assert_eq!(revisions(&world), ["shop.v1"]);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(deployment["status"]["readyReplicas"], 1);
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    let tag = image.strip_prefix("shop-web:").unwrap();
    assert!(tag.len() == 12 && tag.chars().all(|letter| letter.is_ascii_hexdigit()), "{image}");
    for secret in [CANARY, API_KEY] {
        let holders: Vec<String> = world
            .cluster
            .objects()
            .iter()
            .filter(|(_, object)| {
                todohost_testkit::leak::find(object.to_string().as_bytes(), secret).is_some()
            })
            .map(|(key, _)| format!("{}/{}", key.resource, key.name))
            .collect();
        assert_eq!(holders, ["secrets/sh.helm.release.v1.shop.v1", "secrets/shop-secrets"]);
    }
}

#[test]
fn deploy_without_changes_writes_nothing_and_keeps_the_revision() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let writes = world.cluster.writes().len();
    let built = |world: &World| {
        world.tools.lines().iter().filter(|line| line.contains("buildx build")).count()
    };
    assert_eq!(built(&world), 1);
    let finished = world.deploy().run().expect_code(0);
    world.assert_no_leak(&finished);
    assert_eq!(revisions(&world), ["shop.v1"]);
    assert_eq!(world.cluster.writes().len(), writes, "{:#?}", world.cluster.writes());
    assert_eq!(built(&world), 1);
    assert!(finished.stderr.contains("unchanged"), "{}", finished.stderr);
}

#[test]
fn a_changed_source_makes_a_new_image_and_a_new_revision() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.project.write("web/server", "serve more\n");
    let _ = world.deploy().run().expect_code(0);
    assert_eq!(revisions(&world), ["shop.v1", "shop.v2"]);
    let builds: Vec<String> =
        world.tools.lines().into_iter().filter(|line| line.contains("buildx build")).collect();
    assert_eq!(builds.len(), 2);
    assert_ne!(builds[0], builds[1], "the tag by content did not change");
}

#[test]
fn a_changed_secret_rolls_the_pods() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let pods = |world: &World| -> Vec<String> {
        world
            .cluster
            .names_in("shop")
            .into_iter()
            .filter(|name| name.starts_with("pods/"))
            .collect()
    };
    let before = pods(&world);
    let finished = world
        .run(
            "deploy --target docker-desktop --set secrets.databaseUrl=postgresql://other.example/x",
        )
        .expect_code(0);
    assert_ne!(pods(&world), before, "{}", finished.output());
}

#[test]
fn a_field_of_another_manager_is_a_conflict() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.cluster.write_as(
        "kubectl-scale",
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop-web", "namespace": "shop" }, "spec": { "replicas": 3 } }),
    );
    let finished = world.deploy().args(["--set", "replicas=2"]).run();
    assert_refusal!(world, finished);
    assert_eq!(revisions(&world), ["shop.v1"]);
}

#[test]
fn an_image_that_was_removed_is_built_again() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.tools.unset(image);
    let finished = world.deploy().run().expect_code(0);
    let builds = world.tools.lines().iter().filter(|line| line.contains("buildx build")).count();
    assert_eq!(builds, 2, "{}", finished.output());
    assert_eq!(revisions(&world), ["shop.v1"]);
}

#[test]
fn dry_run_shows_the_plan_without_writes() {
    let world = World::new();
    let finished = world.deploy().args(["--dry-run"]).run().expect_code(0);
    world.assert_no_leak(&finished);
    for step in ["build", "render", "apply", "verify"] {
        assert!(finished.stdout.contains(step), "{}", finished.output());
    }
    world.assert_untouched();
    assert!(!world.tools.lines().iter().any(|line| line.contains("buildx build")));
}
