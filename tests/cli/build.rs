//! Images: built at need, refused when they do not build or nothing uses them.

use super::world::{World, assert_refusal};

#[test]
fn an_image_that_does_not_build() {
    let world = World::new();
    world.tools.set("build-fails");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn an_image_without_a_dockerfile() {
    let world = World::new();
    std::fs::remove_file(world.project.root().join("web/Dockerfile")).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn an_image_that_no_manifest_names() {
    let world = World::new();
    let template = "chart/templates/deployment.yaml";
    world.project.replace(template, "{{ .Values.image.tag }}", "latest");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn building_alone_touches_no_cluster_and_gives_two_tags() {
    let world = World::new();
    let finished = world.run("build --target docker-desktop").expect_code(0);
    let built: Vec<String> = world
        .tools
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("docker buildx build"))
        .collect();
    assert_eq!(built.len(), 1, "{}", finished.output());
    assert!(built[0].contains("--tag shop-web:latest --tag shop-web:"), "{built:?}");
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn a_base_image_is_pulled_in_sight_and_has_time() {
    let world = World::new();
    world.project.replace("web/Dockerfile", "FROM scratch", "FROM base:1");
    let finished = world.run("build --output json").expect_code(0);
    let shown = finished.events_of("step-progress");
    assert!(shown.iter().any(|event| event["message"] == "pull base:1"), "{}", finished.output());
    let calls = finished.events_of("plugin-call");
    let inputs = calls.iter().find(|event| event["export"] == "build.inputs").unwrap();
    let minutes = inputs["limit_ms"].as_u64().unwrap() / 60_000;
    assert!(minutes >= 10, "a pull of a large base has {minutes} min");

    // People without a terminal are told, too.
    world.tools.unset("base:1");
    let finished = world.run("build").expect_code(0);
    assert!(finished.stderr.contains("    pull base:1\n"), "{}", finished.output());
}
