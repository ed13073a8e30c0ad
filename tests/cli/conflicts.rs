//! Fields that others manage: told all at once, taken one by one or all, left to controllers.

use serde_json::{Value, json};

use super::world::{World, assert_refusal};

fn deployment(spec: &Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "shop-web", "namespace": "shop" }, "spec": spec })
}

fn replicas(world: &World) -> Value {
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    deployment["spec"]["replicas"].clone()
}

/// A deployed app, in which others changed a field of the Deployment and one of the Service.
fn edited() -> World {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.cluster.write_as("kubectl-edit", &deployment(&json!({ "replicas": 3 })));
    world.cluster.write_as(
        "mesh",
        &json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "shop-web", "namespace": "shop", "labels": { "app.kubernetes.io/name": "other" } } }),
    );
    world
}

#[test]
fn all_of_them_are_told_and_nothing_is_applied() {
    let world = edited();
    let before = world.cluster.writes().len();
    let finished = world.deploy().args(["--set", "replicas=2,greeting=hi"]).run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before, "{:#?}", world.cluster.writes());
}

#[test]
fn a_named_field_is_taken_and_no_other() {
    let world = edited();
    let finished = world
        .deploy()
        .args(["--set", "replicas=2", "--take", "Deployment/shop-web:.spec.replicas"])
        .run()
        .expect_code(10);
    assert!(!finished.stderr.contains(".spec.replicas is managed"), "{}", finished.output());
    assert!(finished.stderr.contains("name is managed by mesh"), "{}", finished.output());
    assert_eq!(replicas(&world), 3);

    let _ = world
        .deploy()
        .args(["--set", "replicas=2", "--take", ".spec.replicas", "--take", "Service/*:.metadata"])
        .run()
        .expect_code(0);
    assert_eq!(replicas(&world), 2);
}

#[test]
fn force_takes_them_all() {
    let world = edited();
    let _ = world.deploy().args(["--set", "replicas=2", "--force"]).run().expect_code(0);
    assert_eq!(replicas(&world), 2);
    let service = world.cluster.get("services", "shop", "shop-web").unwrap();
    assert_eq!(service["metadata"]["labels"]["app.kubernetes.io/name"], "shop");
}

#[test]
fn replicas_are_left_to_an_autoscaler() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.autoscale();
    world.cluster.write_as("kube-controller-manager", &deployment(&json!({ "replicas": 4 })));

    // Force does not fight a controller; what is scaled is no change by itself.
    let finished = world.deploy().args(["--force"]).run().expect_code(0);
    let told = "Deployment/shop-web .spec.replicas is left to kube-controller-manager";
    assert_eq!(finished.stderr.matches(told).count(), 1, "{}", finished.output());
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());

    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert!(finished.stderr.contains("revision 2"), "{}", finished.output());
    assert_eq!(replicas(&world), 4);

    // Only naming it does.
    let _ = world.deploy().args(["--take", ".spec.replicas"]).run().expect_code(0);
    assert_eq!(replicas(&world), 1);
}

#[test]
fn what_the_project_ignores_is_left() {
    let world = edited();
    world.project.append(
        "todohost.toml",
        "[apply]\nignore = [\"Service/*:.metadata.labels\", \"Deployment/shop-web:.spec.replicas\"]\n",
    );
    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert!(finished.stderr.contains("left to mesh"), "{}", finished.output());
    assert_eq!(replicas(&world), 3);
    let service = world.cluster.get("services", "shop", "shop-web").unwrap();
    assert_eq!(service["metadata"]["labels"]["app.kubernetes.io/name"], "other");
}

/// Not everything that is left as it is was applied: stock Helm of the third major changes by other ways.
#[test]
fn what_stock_helm_set_becomes_applied_also_where_nothing_changes() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let service = json!({ "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "shop-web", "namespace": "shop", "labels": { "by": "helm" } } });
    world.cluster.write_as("helm", &service);
    let managers = || -> Vec<String> {
        let service = world.cluster.get("services", "shop", "shop-web").unwrap();
        let entries = service["metadata"]["managedFields"].as_array().unwrap();
        entries.iter().map(|one| format!("{} {}", one["manager"], one["operation"])).collect()
    };
    assert!(managers().contains(&"\"helm\" \"Update\"".to_owned()), "{:?}", managers());

    // By itself it is nothing to deploy for.
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
    assert_eq!(managers().len(), 2);

    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert!(finished.stderr.contains("revision 2, 1 objects changed"), "{}", finished.output());
    assert_eq!(managers(), ["\"helm\" \"Apply\""]);
}

#[test]
fn what_names_no_field_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "[apply]\nignore = [\"spec.replicas\"]\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}
