//! The output of `diff`: the changes of the next deploy, without noise and secrets, and without any write.

use serde_json::json;
use todohost_testkit::Finished;

use super::world::{DATABASE, World};

fn diff(world: &World, args: &[&str]) -> Finished {
    let host = world.host().args(["diff", "--target", "docker-desktop"]);
    let finished = host
        .args(["--set", &format!("secrets.databaseUrl={DATABASE}")])
        .args(["--set", &format!("secrets.apiKey={}", super::world::API_KEY)])
        .args(args)
        .run();
    world.assert_no_leak(&finished);
    finished
}

/// The changed lines, without those of the checksum.
fn changed(finished: &Finished) -> Vec<&str> {
    finished.stdout.lines().filter(|line| line.starts_with(['+', '-'])).collect()
}

#[test]
fn diff_before_the_first_deploy_lists_every_object() {
    let world = World::new();
    let finished = diff(&world, &[]).expect_code(2);
    for text in [
        "v1 Secret/shop-secrets would be created",
        "+  DATABASE_URL: (secret)",
        "apps/v1 Deployment/shop-web would be created",
        "would be built",
    ] {
        assert!(finished.stdout.contains(text), "no {text} in:\n{}", finished.output());
    }
    for noise in ["managedFields", "resourceVersion", "uid:", "status:"] {
        assert!(!finished.stdout.contains(noise), "{noise} in:\n{}", finished.output());
    }
    world.assert_untouched();
    assert!(!world.tools.lines().iter().any(|line| line.contains("buildx build")));
}

#[test]
fn diff_after_a_deploy_is_empty() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let finished = diff(&world, &[]).expect_code(0);
    assert_eq!(finished.stdout, "", "{}", finished.output());
}

#[test]
fn diff_shows_changed_lines_and_writes_nothing() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let writes = world.cluster.writes().len();
    let finished = diff(&world, &["--set", "replicas=2,greeting=hi"]).expect_code(2);
    assert_eq!(
        changed(&finished),
        ["-  replicas: 1", "+  replicas: 2", "-          value: hello", "+          value: hi"],
        "{}",
        finished.output()
    );
    assert_eq!(world.cluster.writes().len(), writes);
    assert!(!finished.output().contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn diff_masks_the_values_of_a_changed_secret() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let other = "secrets.databaseUrl=postgresql://shop:another-canary@db.example/shop";
    let finished = diff(&world, &["--set", other]).expect_code(2);
    assert!(!finished.output().contains("another-canary"), "{}", finished.output());
    let masked = ["-  DATABASE_URL: (secret, as it is)", "+  DATABASE_URL: (secret, changed)"];
    assert_eq!(changed(&finished)[..2], masked, "{}", finished.output());
    assert!(finished.stdout.contains("   API_KEY: (secret)"), "{}", finished.output());
}

#[test]
fn diff_lists_drift_and_objects_that_leave_the_release() {
    let world = World::new();
    world.project.write(
        "chart/templates/extra.yaml",
        "{{- if eq .Values.greeting \"hello\" }}\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\ndata: { a: b }\n---\n\
         apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: disk }\nspec: { accessModes: [ReadWriteOnce] }\n{{- end }}\n",
    );
    let _ = world.deploy().run().expect_code(0);
    world.cluster.write_as(
        "kubectl-edit",
        &json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop-web", "namespace": "shop" },
            "spec": { "selector": { "app": "other" } } }),
    );
    let finished = diff(&world, &["--set", "greeting=hi", "--force"]).expect_code(2);
    for text in [
        "-    app: other\n+    app: shop-web",
        "v1 ConfigMap/extra would be deleted\n",
        "v1 PersistentVolumeClaim/disk stays: no longer part of the release",
    ] {
        assert!(finished.stdout.contains(text), "no {text} in:\n{}", finished.output());
    }
}

#[test]
fn diff_as_json_is_an_event() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let finished = diff(&world, &["--set", "replicas=2", "--output", "json"]).expect_code(2);
    let events = finished.events_of("difference");
    assert_eq!(events.len(), 1);
    let objects = events[0]["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 1, "{objects:#?}");
    assert_eq!(objects[0]["object"]["name"], "shop-web");
    assert_eq!(objects[0]["change"], "configured");
    assert!(objects[0]["diff"].as_str().unwrap().contains("+  replicas: 2"));
    let last = finished.events().pop().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"run-finished".into(), &2.into()));
}
