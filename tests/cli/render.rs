//! Charts that do not render, or that do to secrets what may not be done.

use super::world::{DATABASE, World, assert_refusal};

#[test]
fn a_chart_that_does_not_render() {
    let world = World::new();
    let template = "chart/templates/service.yaml";
    world.project.replace(template, "{{ .Values.service.port }}", "{{ .Values.nothing.port }}");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_template_that_is_not_yaml() {
    let world = World::new();
    world.project.write("chart/templates/broken.yaml", "kind: [\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn there_is_no_chart() {
    let world = World::new();
    world.project.replace("todohost.toml", "chart = \"chart\"", "chart = \"charts\"");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_secret_outside_a_secret() {
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
fn a_secret_that_the_chart_transforms() {
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
fn rendering_alone_prints_manifests_without_secrets() {
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
