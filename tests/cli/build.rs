//! Image builds: only if needed, and refused if the build fails or no object uses the image.

use super::world::{World, assert_refusal};

#[test]
fn build_failure_is_reported() {
    let world = World::new();
    world.tools.set("build-fails");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn missing_dockerfile_is_reported() {
    let world = World::new();
    std::fs::remove_file(world.project.root().join("web/Dockerfile")).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn image_that_no_object_uses_is_refused() {
    let world = World::new();
    let template = "chart/templates/deployment.yaml";
    world.project.replace(template, "{{ .Values.image.tag }}", "latest");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn build_command_sets_two_tags_without_a_cluster() {
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
fn base_image_pull_is_shown_and_has_a_long_deadline() {
    let world = World::new();
    world.project.replace("web/Dockerfile", "FROM scratch", "FROM base:1");
    let finished = world.run("build --output json").expect_code(0);
    let shown = finished.events_of("step-progress");
    assert!(shown.iter().any(|event| event["message"] == "pull base:1"), "{}", finished.output());
    let calls = finished.events_of("plugin-call");
    let inputs = calls.iter().find(|event| event["export"] == "build.inputs").unwrap();
    let minutes = inputs["limit_ms"].as_u64().unwrap() / 60_000;
    assert!(minutes >= 10, "a pull of a large base has {minutes} min");

    // Without a terminal the pull is shown as well.
    world.tools.unset("base:1");
    let finished = world.run("build").expect_code(0);
    assert!(finished.stderr.contains("    pull base:1\n"), "{}", finished.output());
}
