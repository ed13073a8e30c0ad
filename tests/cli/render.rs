//! Charts that do not render, or that handle secrets in a forbidden way.

use super::world::{DATABASE, World, assert_refusal};

#[test]
fn render_failure_is_reported() {
    let world = World::new();
    let template = "chart/templates/service.yaml";
    world.project.replace(template, "{{ .Values.service.port }}", "{{ .Values.nothing.port }}");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn invalid_yaml_in_a_template_is_reported() {
    let world = World::new();
    world.project.write("chart/templates/broken.yaml", "kind: [\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn missing_chart_is_reported() {
    let world = World::new();
    world.project.replace("todohost.toml", "chart = \"chart\"", "chart = \"charts\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn secret_outside_of_secret_objects_is_refused() {
    let world = World::new();
    let template = "chart/templates/deployment.yaml";
    world.project.replace(
        template,
        "{{ .Values.greeting | quote }}",
        "{{ .Values.secrets.databaseUrl | quote }}",
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn transformed_secret_is_refused() {
    let world = World::new();
    let template = "chart/templates/secret.yaml";
    world.project.replace(
        template,
        ".Values.secrets.databaseUrl | b64enc",
        ".Values.secrets.databaseUrl | upper | b64enc",
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn render_prints_manifests_without_secrets() {
    let world = World::new();
    let finished = world
        .host()
        .args(["render", "--set", &format!("secrets.databaseUrl={DATABASE}")])
        .run()
        .expect_code(0);
    world.assert_no_leak(&finished);
    for kind in ["kind: 'Secret'", "kind: 'Deployment'", "kind: 'Service'"] {
        assert!(finished.stdout.contains(kind), "{}", finished.output());
    }
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    let world = World::new();
    let line = format!("render --set secrets.databaseUrl={DATABASE}");
    let first = world.run(&line).expect_code(0);
    let second = world.run(&line).expect_code(0);
    assert_eq!(first.stdout, second.stdout);
}
