//! Values and secrets that cannot be used. Nothing is built or written for any of them.

use super::world::{DATABASE, World, assert_refusal};

#[test]
fn a_malformed_set() {
    let world = World::new();
    let finished = world.deploy().args(["--set", "replicas"]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_malformed_set_of_a_secret_does_not_print_it() {
    let world = World::new();
    let joined = format!("greeting=hi,secrets.databaseUrl={DATABASE}");
    let finished =
        world.host().args(["deploy", "--target", "docker-desktop", "--set", &joined]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_required_secret_is_missing() {
    let world = World::new();
    let finished = world.run("deploy --target docker-desktop");
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_secret_in_a_variable_that_is_not_set() {
    let world = World::new();
    let finished =
        world.run("deploy --target docker-desktop --secret secrets.databaseUrl=env:SHOP_DATABASE");
    assert_refusal!(world, finished);
}

#[test]
fn a_values_file_that_breaks_the_schema() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.values]\nplugin = \"helm-values\"\n");
    world.project.write("production.yaml", "greeting: 7\nreplicas: many\n");
    let finished = world.deploy().args(["-f", "production.yaml"]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_set_that_breaks_the_schema_is_named() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.values]\nplugin = \"helm-values\"\n");
    let finished = world.deploy().args(["--set", "replicas=9"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn a_values_file_that_is_not_there() {
    let world = World::new();
    let finished = world.deploy().args(["-f", "nowhere.yaml"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn a_values_file_that_holds_a_secret() {
    let world = World::new();
    world.project.write("values.yaml", "secrets:\n  apiKey: not-so-secret\n");
    let finished = world.deploy().args(["-f", "values.yaml"]).run();
    assert_refusal!(world, finished);
}
