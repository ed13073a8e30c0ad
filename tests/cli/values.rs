//! Invalid values and secrets. Each is refused before any build or write.

use super::world::{DATABASE, World, assert_refusal};

#[test]
fn malformed_set_is_refused() {
    let world = World::new();
    let finished = world.deploy().args(["--set", "replicas"]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn malformed_set_of_a_secret_does_not_print_it() {
    let world = World::new();
    let joined = format!("greeting=hi,secrets.databaseUrl={DATABASE}");
    let finished =
        world.host().args(["deploy", "--target", "docker-desktop", "--set", &joined]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn missing_required_secret_is_reported() {
    let world = World::new();
    let finished = world.run("deploy --target docker-desktop");
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn unset_variable_of_a_secret_is_reported() {
    let world = World::new();
    let finished =
        world.run("deploy --target docker-desktop --secret secrets.databaseUrl=env:SHOP_DATABASE");
    assert_refusal!(world, finished);
}

#[test]
fn values_file_that_breaks_the_schema_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.values]\nplugin = \"helm-values\"\n");
    world.project.write("production.yaml", "greeting: 7\nreplicas: many\n");
    let finished = world.deploy().args(["-f", "production.yaml"]).run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn set_that_breaks_the_schema_is_refused() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.values]\nplugin = \"helm-values\"\n");
    let finished = world.deploy().args(["--set", "replicas=9"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn missing_values_file_is_reported() {
    let world = World::new();
    let finished = world.deploy().args(["-f", "nowhere.yaml"]).run();
    assert_refusal!(world, finished);
}

#[test]
fn secret_in_a_values_file_is_refused() {
    let world = World::new();
    world.project.write("values.yaml", "secrets:\n  apiKey: not-so-secret\n");
    let finished = world.deploy().args(["-f", "values.yaml"]).run();
    assert_refusal!(world, finished);
}
