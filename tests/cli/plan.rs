//! Plan files: a deploy applies exactly the reviewed plan, or nothing.

use serde_json::{Value, json};
use todohost_testkit::{Finished, leak};

use super::world::{API_KEY, CANARY, DATABASE, World, assert_refusal};

fn secrets() -> [String; 4] {
    let (database, key) =
        (format!("secrets.databaseUrl={DATABASE}"), format!("secrets.apiKey={API_KEY}"));
    ["--set".to_owned(), database, "--set".to_owned(), key]
}

fn plan(world: &World, args: &[&str]) -> Finished {
    let host = world.host().args(["plan", "--target", "docker-desktop", "-o", "next.json"]);
    let finished = host.args(secrets()).args(args).run().expect_code(0);
    world.assert_no_leak(&finished);
    finished
}

fn carry_out(world: &World) -> Finished {
    let finished = world.host().args(["deploy", "--plan", "next.json"]).args(secrets()).run();
    world.assert_no_leak(&finished);
    finished
}

fn saved(world: &World) -> Value {
    serde_json::from_str(&world.project.read("next.json")).unwrap()
}

#[test]
fn plan_works_before_the_first_deploy() {
    let world = World::new();
    let finished = plan(&world, &[]);
    assert!(
        finished.stdout.contains("Deployment/shop-web would be created"),
        "{}",
        finished.output()
    );
    world.assert_untouched();
    let file = saved(&world);
    assert_eq!((&file["version"], &file["target"]), (&json!(1), &json!("docker-desktop")));
    for secret in [CANARY, API_KEY] {
        assert_eq!(leak::find(file.to_string().as_bytes(), secret), None);
    }
    let finished = carry_out(&world).expect_code(0);
    assert!(finished.stderr.contains("revision 1"), "{}", finished.output());
    let secret = world.cluster.get("secrets", "shop", "shop-secrets").unwrap();
    assert!(leak::find(secret.to_string().as_bytes(), CANARY).is_some());
    // Applying the plan gives the same result as a deploy.
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
}

#[test]
fn apply_uses_the_plan_and_not_the_current_sources() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let _ = plan(&world, &["--set", "greeting=planned"]);
    world.project.replace("chart/values.yaml", "replicas: 1", "replicas: 3");
    world.project.write("web/server", "serve something else\n");
    let finished = carry_out(&world).expect_code(0);
    assert!(finished.stderr.contains("revision 2"), "{}", finished.output());
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 1);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][0]["value"], "planned");
    // A second time is refused, because the release has a newer revision.
    let finished = carry_out(&world).expect_code(3);
    assert!(finished.stderr.contains("the release changed"), "{}", finished.output());
}

#[test]
fn plan_without_changes_changes_nothing() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let _ = plan(&world, &[]);
    let writes = world.cluster.writes().len();
    let finished = carry_out(&world).expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
    assert_eq!(world.cluster.writes().len(), writes);
}

#[test]
fn all_drift_since_the_plan_is_listed_and_nothing_is_applied() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let _ = plan(&world, &["--set", "greeting=planned"]);
    world.cluster.write_as(
        "kubectl-edit",
        &json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop-web", "namespace": "shop" },
            "spec": { "selector": { "app": "other" } } }),
    );
    world.cluster.delete("secrets", "shop", "shop-secrets");
    let writes = world.cluster.writes().len();
    let finished = carry_out(&world);
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), writes);
}

#[test]
fn changes_of_status_and_controller_fields_are_not_drift() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let deployment = |replicas: u32| {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "shop-web", "namespace": "shop" }, "spec": { "replicas": replicas } })
    };
    world.autoscale();
    world.cluster.write_as("kube-controller-manager", &deployment(3));
    let _ = plan(&world, &["--set", "greeting=planned"]);
    world.cluster.write_as("kube-controller-manager", &deployment(4));
    let _ = carry_out(&world).expect_code(0);
}

#[test]
fn different_secrets_than_in_the_plan_are_refused() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let _ = plan(&world, &["--set", "greeting=planned"]);
    let other = "secrets.databaseUrl=postgresql://other.example/x";
    let finished = world.host().args(["deploy", "--plan", "next.json", "--set", other]).run();
    assert_refusal!(world, finished);
}

#[test]
fn missing_images_of_a_plan_are_refused() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.project.write("web/server", "serve more\n");
    let _ = plan(&world, &[]);
    let image = saved(&world)["images"][0]["reference"].as_str().unwrap().to_owned();
    world.tools.unset(&image);
    let finished = carry_out(&world).expect_code(3);
    let expected = format!("image {image} is gone");
    assert!(finished.stderr.contains(&expected), "{}", finished.output());
}

#[test]
fn plan_for_another_cluster_is_refused() {
    let world = World::new();
    let _ = plan(&world, &[]);
    let other = World::new();
    other.project.write("next.json", &world.project.read("next.json"));
    let mut file = saved(&world);
    file["cluster"] = json!("another");
    other.project.write("next.json", &file.to_string());
    let finished = carry_out(&other);
    assert_refusal!(other, finished);
}

#[test]
fn invalid_plan_file_is_refused() {
    let world = World::new();
    world.project.write("next.json", "{ \"version\": 7 }");
    let finished = carry_out(&world);
    assert_refusal!(world, finished);
    for (content, expected) in [("[]", "it has no version"), ("no JSON", "it is not a plan file")] {
        world.project.write("next.json", content);
        let finished = carry_out(&world).expect_code(2);
        assert!(finished.stderr.contains(expected), "{}", finished.output());
    }
    let _ = plan(&world, &[]);
    let host = world.host().args(["deploy", "--plan", "next.json", "--set", "greeting=x"]);
    let finished = host.args(secrets()).run().expect_code(2);
    assert!(finished.stderr.contains("only secrets are given again"), "{}", finished.output());
}
