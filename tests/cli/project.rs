//! Invalid project files.

use super::world::{World, assert_refusal};

#[test]
fn missing_project_file_is_reported() {
    let world = World::new();
    std::fs::remove_file(world.project.root().join("todohost.toml")).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn unknown_key_is_reported_with_line_and_suggestion() {
    let world = World::new();
    world.project.replace("todohost.toml", "context = \"web\"", "contxt = \"web\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn invalid_toml_is_reported() {
    let world = World::new();
    world.project.replace("todohost.toml", "name = \"shop\"", "name = shop");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn path_outside_the_project_is_refused() {
    let world = World::new();
    world.project.replace("todohost.toml", "chart = \"chart\"", "chart = \"../../etc\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn unknown_plugin_is_reported() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins]\nrender = \"kustomize\"\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn unknown_option_is_reported_with_line_and_suggestion() {
    let world = World::new();
    let plugins = "\n[plugins.build]\noptions = { bulder = \"classic\" }\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn invalid_option_value_is_reported_with_line() {
    let world = World::new();
    let plugins =
        "\n[targets.here]\nplugin = \"docker-desktop\"\n[targets.here.options]\ncontext = 7\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.run("status --target here");
    assert_refusal!(world, finished);
}

#[test]
fn option_for_a_plugin_without_options_is_refused() {
    let world = World::new();
    let plugins =
        "\n[plugins]\nverify = { plugin = \"health\", options = { readyWithin = \"5s\" } }\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn unknown_key_beside_the_options_of_a_step_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins.build]\noption = {}\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn options_of_a_step_reach_its_plugin() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins.build]\noptions.builder = \"classic\"\n");
    let finished = world.run("build");
    // The scripted engine has no classic builder; the attempt to use it is enough.
    let lines = world.tools.lines();
    assert!(lines.iter().any(|line| line.starts_with("docker build ")), "{}", finished.output());
    assert!(!lines.iter().any(|line| line.starts_with("docker buildx build")), "{lines:?}");
}
