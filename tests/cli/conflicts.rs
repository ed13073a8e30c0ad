//! Fields of other managers: listed together, taken by name or all at once, left to controllers.

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

/// A deployed app in which other managers changed a field of the Deployment and one of the Service.
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
fn all_conflicts_are_listed_and_nothing_is_applied() {
    let world = edited();
    let before = world.cluster.writes().len();
    let finished = world.deploy().args(["--set", "replicas=2,greeting=hi"]).run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before, "{:#?}", world.cluster.writes());
}

#[test]
fn take_takes_only_the_named_field() {
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
fn force_takes_all_conflicting_fields() {
    let world = edited();
    let _ = world.deploy().args(["--set", "replicas=2", "--force"]).run().expect_code(0);
    assert_eq!(replicas(&world), 2);
    let service = world.cluster.get("services", "shop", "shop-web").unwrap();
    assert_eq!(service["metadata"]["labels"]["app.kubernetes.io/name"], "shop");
}

#[test]
fn autoscaled_replicas_are_left_to_the_autoscaler() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    world.autoscale();
    world.cluster.write_as("kube-controller-manager", &deployment(&json!({ "replicas": 4 })));

    // `--force` does not override a controller, and scaling alone is not a change.
    let finished = world.deploy().args(["--force"]).run().expect_code(0);
    let expected = "Deployment/shop-web .spec.replicas is left to kube-controller-manager";
    assert_eq!(finished.stderr.matches(expected).count(), 1, "{}", finished.output());
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());

    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert!(finished.stderr.contains("revision 2"), "{}", finished.output());
    assert_eq!(replicas(&world), 4);

    // `--take` with the field's name does.
    let _ = world.deploy().args(["--take", ".spec.replicas"]).run().expect_code(0);
    assert_eq!(replicas(&world), 1);
}

#[test]
fn ignored_fields_keep_their_live_value() {
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

/// Helm 3 sets fields by update instead of apply; a deploy moves them to apply even if the values stay the same.
#[test]
fn fields_set_by_helm_3_become_applied_without_value_changes() {
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

    // Ownership alone is not a reason for a new revision.
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
    assert_eq!(managers().len(), 2);

    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert!(finished.stderr.contains("revision 2, 1 objects changed"), "{}", finished.output());
    assert_eq!(managers(), ["\"helm\" \"Apply\""]);
}

#[test]
fn ignore_entry_without_a_field_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "[apply]\nignore = [\"spec.replicas\"]\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}
