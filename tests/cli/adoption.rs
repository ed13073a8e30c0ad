//! Objects that existed before the release, and objects that leave it: handled by their owner.

use serde_json::{Value, json};

use super::world::{World, assert_refusal};

fn service(annotations: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "shop-web", "namespace": "shop", "annotations": annotations },
        "spec": { "clusterIP": "10.96.7.7", "ports": [{ "name": "http", "port": 8000, "targetPort": "http" }] } })
}

/// A namespace with a Service of another release and a Secret without an owner.
fn inhabited() -> World {
    let world = World::new();
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    world.cluster.write_as("kubectl-create", &namespace);
    let other =
        json!({ "meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "shop" });
    world.cluster.write_as("helm", &service(&other));
    world.cluster.write_as(
        "kubectl-create",
        &json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "shop-secrets", "namespace": "shop" } }),
    );
    world
}

#[test]
fn foreign_objects_are_reported_and_left_untouched() {
    let world = inhabited();
    let before = world.cluster.writes().len();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before);
}

#[test]
fn adopt_takes_over_named_objects_only() {
    let world = inhabited();
    let finished = world.deploy().args(["--adopt", "Service/shop-web"]).run().expect_code(10);
    assert!(
        finished.stderr.contains("Secret/shop-secrets belongs to no release"),
        "{}",
        finished.output()
    );
    assert!(!finished.stderr.contains("Service/shop-web belongs"), "{}", finished.output());
    let _ = world
        .deploy()
        .args(["--adopt", "Service/shop-web", "--adopt", "Secret/shop-secrets"])
        .run()
        .expect_code(0);
    let taken = world.cluster.get("services", "shop", "shop-web").unwrap();
    assert_eq!(taken["metadata"]["annotations"]["meta.helm.sh/release-name"], "shop");
    assert_eq!(taken["spec"]["clusterIP"], "10.96.7.7", "it is the same Service");
    // After adoption the objects belong to the release.
    let _ = world.deploy().run().expect_code(0);
}

#[test]
fn adopt_all_takes_over_every_object() {
    let world = inhabited();
    let _ = world.deploy().args(["--adopt", "all"]).run().expect_code(0);
}

#[test]
fn an_object_taken_by_another_release_is_a_conflict() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let other =
        json!({ "meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "shop" });
    world.cluster.write_as("helm", &service(&other));
    let finished = world.deploy().run().expect_code(10);
    let expected = "Service/shop-web belongs to release other in namespace shop";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
}

#[test]
fn removed_objects_are_deleted_by_uid_except_kept_ones_and_volumes() {
    let world = World::new();
    world.project.write(
        "chart/templates/extra.yaml",
        "{{- if eq .Values.greeting \"hello\" }}\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: { name: kept, annotations: { helm.sh/resource-policy: keep } }\n---\n\
         apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: disk }\nspec: { accessModes: [ReadWriteOnce] }\n{{- end }}\n",
    );
    let _ = world.deploy().run().expect_code(0);
    let uid = world.cluster.get("configmaps", "shop", "extra").unwrap()["metadata"]["uid"].clone();
    let finished = world.deploy().args(["--set", "greeting=hi"]).run().expect_code(0);
    assert_eq!(world.cluster.get("configmaps", "shop", "extra"), None);
    assert!(world.cluster.get("configmaps", "shop", "kept").is_some());
    assert!(world.cluster.get("persistentvolumeclaims", "shop", "disk").is_some());
    for expected in
        ["ConfigMap/extra deleted", "ConfigMap/kept kept", "PersistentVolumeClaim/disk kept"]
    {
        assert!(finished.stderr.contains(expected), "no {expected} in:\n{}", finished.output());
    }
    let writes = world.cluster.writes();
    let delete =
        writes.iter().find(|write| write.method == "DELETE" && write.path.ends_with("/extra"));
    let options: Value = serde_json::from_slice(&delete.unwrap().body).unwrap();
    assert_eq!(options["preconditions"]["uid"], uid);
}
