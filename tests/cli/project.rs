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
