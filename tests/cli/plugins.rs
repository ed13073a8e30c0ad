//! Core plugins, and a third-party plugin with consent, without consent, and with new grants.

use std::path::PathBuf;

use todohost_testkit::Sandbox;

use super::world::{World, assert_refusal, outside_plugin, share_compiled};

fn with_check(name: &str) -> World {
    let world = World::new();
    world.add_check(name, "");
    world
}

#[test]
fn the_core_plugins_are_listed_with_their_roles() {
    let world = World::new();
    let finished = world.run("plugin list").expect_code(0);
    for (id, role) in [
        ("docker-desktop", "target"),
        ("kind", "target"),
        ("docker-build", "build"),
        ("helm", "render"),
        ("server-side-apply", "apply"),
        ("health", "verify"),
        ("constitution", "check"),
        ("helm-values", "check"),
    ] {
        let line = finished.stdout.lines().find(|line| line.contains(id) && line.contains(role));
        assert!(line.is_some(), "no {role} {id} in:\n{}", finished.output());
    }
}

/// A folder with the core plugins, some of them replaced by other files.
fn with_core_plugins(world: &World, replaced: &[(&str, &str)]) -> PathBuf {
    let folder = world.project.folder().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(todohost_tests::plugins()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    for (name, content) in replaced {
        std::fs::write(folder.join(name), content).unwrap();
    }
    folder
}

#[test]
fn broken_core_plugin_is_reported_and_skipped() {
    let world = World::new();
    let plugins = with_core_plugins(&world, &[("kind.wasm", "not a component")]);
    std::fs::create_dir(plugins.join("folder.wasm")).unwrap();
    std::fs::copy(plugins.join("health.wasm"), plugins.join("a-second-health.wasm")).unwrap();
    let listed = world.host().variable("TODOHOST_PLUGINS", &plugins).args(["plugin", "list"]).run();
    let listed = listed.expect_code(0);
    let warnings: Vec<&str> =
        listed.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 3, "{}", listed.output());
    for file in ["kind.wasm is not a plugin", "folder.wasm", "has the id `health`"] {
        assert!(warnings.iter().any(|line| line.contains(file)), "no {file} in {warnings:?}");
    }
    let names: Vec<_> = listed.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"docker-desktop") && !names.contains(&"kind"), "{names:?}");
    let deployed = world.deploy().variable("TODOHOST_PLUGINS", &plugins).run().expect_code(0);
    assert!(
        deployed.stderr.contains("warning: a core plugin is left out"),
        "{}",
        deployed.output()
    );
}

#[test]
fn needed_broken_core_plugin_is_an_error() {
    let world = World::new();
    let plugins = with_core_plugins(&world, &[("kind.wasm", "not a component")]);
    let finished =
        world.host().variable("TODOHOST_PLUGINS", &plugins).args(["status", "--target", "kind"]);
    let finished = finished.run().expect_code(12);
    assert!(finished.stderr.contains("kind.wasm is not a plugin"), "{}", finished.output());
    std::fs::write(plugins.join("helm.wasm"), "neither").unwrap();
    let finished = world.deploy().variable("TODOHOST_PLUGINS", &plugins).run();
    world.assert_untouched();
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    assert!(finished.stderr.contains("found no plugin for render"), "{}", finished.output());
    assert!(finished.stderr.contains("helm.wasm is not a plugin"), "{}", finished.output());
}

#[test]
fn inspect_lists_imports_and_grants() {
    let world = World::new();
    let finished = world.run("plugin inspect docker-build").expect_code(0);
    for part in ["docker-build", "build", "process", "buildx"] {
        assert!(finished.stdout.contains(part), "no {part} in:\n{}", finished.output());
    }
}

#[test]
fn pure_steps_import_no_capabilities() {
    let world = World::new();
    for id in ["server-side-apply", "health", "helm-values"] {
        let finished = world.run(&format!("plugin inspect {id}")).expect_code(0);
        for import in ["process", "cluster-write", "tcp", "http-probe", "wasi:"] {
            assert!(!finished.stdout.contains(import), "{id} imports {import}");
        }
    }
}

#[test]
fn third_party_check_without_consent_does_not_run() {
    let world = with_check("labels-check");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn allowed_third_party_check_reports_findings() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    let _ = world.deploy().run().expect_code(0);

    let template = "chart/templates/deployment.yaml";
    world.project.replace(
        template,
        "  labels:\n    app.kubernetes.io/name: {{ .Chart.Name }}\nspec:",
        "spec:",
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn third_party_check_reads_its_granted_objects() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    world.project.write("labels.txt", "team\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn consent_is_bound_to_the_digest_of_a_component() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    let greedy = outside_plugin("greedy-labels-check");
    std::fs::copy(greedy, world.project.root().join("checks/labels-check.wasm")).unwrap();
    let finished = world.deploy().run().expect_code(12);
    world.assert_no_leak(&finished);
    world.assert_untouched();
}

#[test]
fn new_build_with_more_grants_lists_the_new_ones() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    // The next build of the same plugin, simulated by a manifest of the same length with more grants.
    let place = world.project.root().join("checks/labels-check.wasm");
    let manifest = todohost_tests::workspace().join("tests/plugins/labels-check/plugin.toml");
    let before = std::fs::read_to_string(manifest).unwrap();
    let after = before
        .replace(r#"["labels.txt"]"#, r#"["labels.txt","chart/**"]"#)
        .replace("every Deployment", "each");
    let after = format!("{after}{}", "#".repeat(before.len() - after.len()));
    let mut component = std::fs::read(&place).unwrap();
    let at = |component: &[u8]| {
        component.windows(before.len()).position(|bytes| bytes == before.as_bytes())
    };
    assert!(at(&component).is_some(), "the manifest is not in the component");
    while let Some(at) = at(&component) {
        component.splice(at..at + before.len(), after.bytes());
    }
    std::fs::write(&place, component).unwrap();

    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();

    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    let _ = world.deploy().run().expect_code(0);
}

#[test]
fn check_that_requests_programs_is_refused_despite_consent() {
    let world = with_check("greedy-labels-check");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert!(!world.tools.lines().iter().any(|line| line.contains("docker ps")));
    world.assert_untouched();
}

#[test]
fn file_that_is_not_a_component_is_refused() {
    let world = World::new();
    world.project.write("check.wasm", "not a component");
    world.project.append("todohost.toml", "\n[checks.labels]\nplugin = \"check.wasm\"\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn plugin_can_be_tried_in_a_sandbox() {
    let component = outside_plugin("labels-check");
    let sandbox = Sandbox::new(&todohost_tests::binary(), &todohost_tests::plugins(), &component);
    share_compiled(&sandbox.project().home().join(".cache"));
    sandbox.project().write("labels.txt", "team\n");
    let refused = sandbox.check(&[]);
    assert_eq!(refused.finished.code(), Some(12), "{}", refused.finished.output());

    let _ = sandbox.allow().expect_code(0);
    let outcome = sandbox.check(&[]);
    assert_eq!(outcome.finished.code(), Some(3), "{}", outcome.finished.output());
    assert_eq!(outcome.findings[0]["code"], "labels-check.missing");
}
