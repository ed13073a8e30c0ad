//! A project file that cannot be used.

use super::world::{World, assert_refusal};

#[test]
fn there_is_none() {
    let world = World::new();
    std::fs::remove_file(world.project.root().join("todohost.toml")).unwrap();
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn an_unknown_key_has_its_line_and_a_suggestion() {
    let world = World::new();
    world.project.replace("todohost.toml", "context = \"web\"", "contxt = \"web\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn it_is_not_toml() {
    let world = World::new();
    world.project.replace("todohost.toml", "name = \"shop\"", "name = shop");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn a_path_leads_out_of_the_project() {
    let world = World::new();
    world.project.replace("todohost.toml", "chart = \"chart\"", "chart = \"../../etc\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn it_names_a_plugin_that_is_not_there() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins]\nrender = \"kustomize\"\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn an_option_that_the_plugin_does_not_know_has_its_line_and_a_suggestion() {
    let world = World::new();
    let plugins = "\n[plugins.build]\noptions = { bulder = \"classic\" }\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn an_option_that_the_plugin_does_not_take_so_has_its_line() {
    let world = World::new();
    let plugins =
        "\n[targets.here]\nplugin = \"docker-desktop\"\n[targets.here.options]\ncontext = 7\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.run("status --target here");
    assert_refusal!(world, finished);
}

#[test]
fn a_step_plugin_without_options_takes_none() {
    let world = World::new();
    let plugins =
        "\n[plugins]\nverify = { plugin = \"health\", options = { readyWithin = \"5s\" } }\n";
    world.project.append("todohost.toml", plugins);
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn a_key_beside_a_step_plugins_options_is_unknown() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins.build]\noption = {}\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn a_step_plugins_options_reach_it() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[plugins.build]\noptions.builder = \"classic\"\n");
    let finished = world.run("build");
    // The scripted engine has no classic builder: that one was asked at all is what counts.
    let lines = world.tools.lines();
    assert!(lines.iter().any(|line| line.starts_with("docker build ")), "{}", finished.output());
    assert!(!lines.iter().any(|line| line.starts_with("docker buildx build")), "{lines:?}");
}
