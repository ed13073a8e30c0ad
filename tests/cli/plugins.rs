//! Core plugins, and a plugin from outside: consented to, not consented to, and asking for more.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use todohost_testkit::Sandbox;

use super::world::{World, assert_refusal, share_compiled};

/// The checks of `tests/plugins`, built as a stranger would build them.
fn outside(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = todohost_tests::target_folder().join("outside");
        let manifest = todohost_tests::workspace().join("tests/plugins/Cargo.toml");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target)
            .status()
            .unwrap();
        assert!(status.success(), "the plugins of tests/plugins do not build");
        target.join("wasm32-wasip2").join("release")
    });
    folder.join(format!("{}.wasm", name.replace('-', "_")))
}

fn with_check(name: &str) -> World {
    let world = World::new();
    std::fs::create_dir(world.project.root().join("checks")).unwrap();
    let place = world.project.root().join("checks").join(format!("{name}.wasm"));
    std::fs::copy(outside(name), place).unwrap();
    world
        .project
        .append("todohost.toml", &format!("\n[checks.labels]\nplugin = \"checks/{name}.wasm\"\n"));
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
        ("helm-values", "check"),
    ] {
        let line = finished.stdout.lines().find(|line| line.contains(id) && line.contains(role));
        assert!(line.is_some(), "no {role} {id} in:\n{}", finished.output());
    }
}

#[test]
fn a_plugin_says_what_it_imports_and_asks_for() {
    let world = World::new();
    let finished = world.run("plugin inspect docker-build").expect_code(0);
    for part in ["docker-build", "build", "process", "buildx"] {
        assert!(finished.stdout.contains(part), "no {part} in:\n{}", finished.output());
    }
}

#[test]
fn pure_steps_import_nothing_that_reaches_out() {
    let world = World::new();
    for id in ["server-side-apply", "health", "helm-values"] {
        let finished = world.run(&format!("plugin inspect {id}")).expect_code(0);
        for import in ["process", "cluster-write", "tcp", "http-probe", "wasi:"] {
            assert!(!finished.stdout.contains(import), "{id} imports {import}");
        }
    }
}

#[test]
fn a_check_from_outside_is_not_run_before_the_user_consents() {
    let world = with_check("labels-check");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_check_from_outside_judges_once_it_is_allowed() {
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
fn a_check_from_outside_reads_what_it_was_allowed_to() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    world.project.write("labels.txt", "team\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn consent_is_to_one_component_and_not_to_its_name() {
    let world = with_check("labels-check");
    let _ = world.run("plugin allow checks/labels-check.wasm").expect_code(0);
    let greedy = outside("greedy-labels-check");
    std::fs::copy(greedy, world.project.root().join("checks/labels-check.wasm")).unwrap();
    let finished = world.deploy().run().expect_code(12);
    world.assert_no_leak(&finished);
    world.assert_untouched();
}

#[test]
fn a_check_that_asks_for_programs_is_refused_whatever_the_user_says() {
    let world = with_check("greedy-labels-check");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    assert!(!world.tools.lines().iter().any(|line| line.contains("docker ps")));
    world.assert_untouched();
}

#[test]
fn a_file_that_is_no_component() {
    let world = World::new();
    world.project.write("check.wasm", "not a component");
    world.project.append("todohost.toml", "\n[checks.labels]\nplugin = \"check.wasm\"\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
}

#[test]
fn an_author_sees_findings_in_a_sandbox() {
    let component = outside("labels-check");
    let sandbox = Sandbox::new(&todohost_tests::binary(), &todohost_tests::plugins(), &component);
    share_compiled(sandbox.project());
    sandbox.project().write("labels.txt", "team\n");
    let refused = sandbox.check(&[]);
    assert_eq!(refused.finished.code(), Some(12), "{}", refused.finished.output());

    let _ = sandbox.allow().expect_code(0);
    let outcome = sandbox.check(&[]);
    assert_eq!(outcome.finished.code(), Some(3), "{}", outcome.finished.output());
    assert_eq!(outcome.findings[0]["code"], "labels-check.missing");
}
