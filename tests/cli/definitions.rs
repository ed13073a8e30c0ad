//! Custom resource definitions in a chart's `crds`: applied first, upgraded with care, never deleted.

use serde_json::{Value, json};

use super::world::{World, assert_refusal};

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.org }
spec:
  group: example.org
  scope: Namespaced
  names: { kind: Widget, plural: widgets, singular: widget, listKind: WidgetList }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: { type: string }
";

const WIDGET: &str = "apiVersion: example.org/v1
kind: Widget
metadata: { name: one }
spec: { size: small }
";

fn definition(world: &World) -> Option<Value> {
    let resource = "customresourcedefinitions.apiextensions.k8s.io";
    world.cluster.get(resource, "", "widgets.example.org")
}

fn deployed() -> World {
    let world = World::new();
    world.project.write("chart/crds/widget.yaml", DEFINITION);
    world.project.write("chart/templates/widget.yaml", WIDGET);
    let _ = world.deploy().run().expect_code(0);
    world
}

#[test]
fn definitions_are_applied_before_their_objects() {
    let world = deployed();
    let paths: Vec<String> = world.cluster.writes().into_iter().map(|write| write.path).collect();
    let place = |part: &str| paths.iter().position(|path| path.contains(part)).unwrap();
    assert!(place("customresourcedefinitions") < place("/widgets/"), "{paths:#?}");
    let found = definition(&world).unwrap();
    assert_eq!(found["metadata"]["annotations"], Value::Null, "no release owns it");
    // A second deploy changes nothing.
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
}

#[test]
fn definition_shared_with_another_release_is_not_a_conflict() {
    let world = World::new();
    world.project.write("chart/crds/widget.yaml", DEFINITION);
    let json = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.org" }, "spec": { "group": "example.org", "scope": "Namespaced" } });
    world.cluster.write_as("helm", &json);
    let _ = world.deploy().run().expect_code(0);
}

#[test]
fn compatible_definition_change_is_applied() {
    let world = deployed();
    world.project.append("chart/crds/widget.yaml", "                colour: { type: string }\n");
    let _ = world.deploy().run().expect_code(0);
    let found = definition(&world).unwrap();
    let schema = &found["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(schema["properties"]["spec"]["properties"]["colour"]["type"], "string");
}

#[test]
fn definition_change_that_loses_objects_is_refused() {
    let world = deployed();
    let before = world.cluster.writes().len();
    world.project.replace("chart/crds/widget.yaml", "name: v1", "name: v2");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes().len(), before);
}

#[test]
fn definitions_stay_after_removal_from_the_chart() {
    let world = deployed();
    for file in ["chart/crds/widget.yaml", "chart/templates/widget.yaml"] {
        std::fs::remove_file(world.project.root().join(file)).unwrap();
    }
    let _ = world.deploy().run().expect_code(0);
    assert!(definition(&world).is_some());
    assert_eq!(world.cluster.get("widgets.example.org", "shop", "one"), None);
}

#[test]
fn definitions_stay_after_a_failed_first_deploy() {
    let world = World::new();
    world.project.write("chart/crds/widget.yaml", DEFINITION);
    world
        .cluster
        .behaviour("shop-web", todohost_testkit::Behaviour::Exits { code: 1, log: String::new() });
    let _ = world.deploy().run().expect_code(11);
    assert!(definition(&world).is_some());
    world.assert_untouched();
}
