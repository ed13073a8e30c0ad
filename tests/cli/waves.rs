//! The apply order that annotations define.

use std::time::Duration;

use serde_json::json;

use super::world::{World, assert_refusal};

/// Names of every `ConfigMap` of the chart in the order of their first writes.
fn order(world: &World) -> Vec<String> {
    let writes = world.cluster.writes().into_iter();
    let names = writes.filter_map(|write| {
        let (_, name) = write.path.rsplit_once("/configmaps/")?;
        Some(name.to_owned())
    });
    names.collect()
}

fn config_map(name: &str, annotations: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations:\n{annotations}"
    )
}

#[test]
fn dependencies_are_applied_first() {
    let world = World::new();
    let ready = "state=ready,kind=Deployment,name=shop-web";
    world.project.write(
        "chart/templates/maps.yaml",
        &[
            config_map("last", "    werf.io/weight: '20'\n"),
            config_map("after-app", &format!("    werf.io/deploy-dependency-app: {ready}\n")),
            config_map("grouped", "    helm.sh/depends-on/resource-groups: '[\"base\"]'\n"),
            config_map("base", "    helm.sh/resource-group: base\n"),
            config_map("first", "    werf.io/weight: '-5'\n"),
        ]
        .concat(),
    );
    let finished = world.deploy().run().expect_code(0);
    let order = order(&world);
    let place = |name: &str| order.iter().position(|other| other == name).unwrap();
    for (one, other) in
        [("first", "base"), ("base", "grouped"), ("grouped", "last"), ("after-app", "last")]
    {
        assert!(place(one) < place(other), "{one} before {other}: {order:?}");
    }
    // The dependency was ready and not only applied: its pods ran before.
    let line = |begin: &str, end: &str| {
        let is_it = |line: &str| line.trim().starts_with(begin) && line.trim().ends_with(end);
        finished.stderr.lines().position(is_it).unwrap()
    };
    let ready = line("Deployment/shop-web", "ready");
    let applied = line("ConfigMap/after-app", "created");
    assert!(ready < applied, "{}", finished.output());
    let map = world.cluster.get("configmaps", "shop", "grouped").unwrap();
    assert_eq!(map["metadata"]["annotations"].as_object().unwrap().len(), 2, "{map:#}");
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
}

#[test]
fn dependency_cycle_is_reported() {
    let world = World::new();
    let other = |name: &str| {
        format!("    werf.io/deploy-dependency-x: state=present,kind=ConfigMap,name={name}\n")
    };
    let maps = [config_map("a", &other("b")), config_map("b", &other("a"))].concat();
    world.project.write("chart/templates/maps.yaml", &maps);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

const KEYS: &str = "    keys.external-dependency.werf.io/resource: secret/keys\n";

#[test]
fn external_dependency_is_waited_for_after_all_other_objects() {
    let world = World::new();
    let maps = [config_map("needy", KEYS), config_map("plain", "    one: two\n")].concat();
    world.project.write("chart/templates/maps.yaml", &maps);
    let running = world.deploy().spawn();
    world.cluster.wait_for_request(Duration::from_secs(30), |seen| {
        seen.query.contains("watch=true") && seen.path.ends_with("/secrets")
    });
    // Apply the app first, because it may cause the creation of the external dependency.
    assert_eq!(order(&world), ["plain"]);
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
    world.cluster.write_as(
        "operator",
        &json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "keys", "namespace": "shop" } }),
    );
    let finished = running.finish().expect_code(0);
    assert_eq!(order(&world), ["plain", "needy"]);
    assert!(
        finished.stderr.contains("Secret/keys waits: it does not exist"),
        "{}",
        finished.output()
    );
    // An unchanged object does not wait for its dependencies.
    world.cluster.delete("secrets", "shop", "keys");
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
}

#[test]
fn missing_external_dependency_is_reported() {
    let world = World::new();
    world.project.write("chart/templates/maps.yaml", &config_map("needy", KEYS));
    let finished = world.deploy().args(["--ready-within", "1s"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn unknown_kind_of_a_dependency_is_refused_before_any_write() {
    let world = World::new();
    let queue = "    q.external-dependency.werf.io/resource: queues/q\n";
    world.project.write("chart/templates/maps.yaml", &config_map("needy", queue));
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}
