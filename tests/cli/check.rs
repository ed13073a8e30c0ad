//! What `check` answers: the tables of what checks judged, here those of the Todo app of this repository.

use todohost_testkit::{Finished, Host};

use super::world::{DATABASE, World, assert_refusal};

const KEY: &str = "secrets.jwtSecret=0123456789abcdef0123456789abcdef";

/// A command with the secrets that the Todo app wants.
fn with_secrets(world: &World, command: &[&str]) -> Host {
    world
        .host()
        .args(command)
        .args(["--set", &format!("secrets.databaseUrl={DATABASE}")])
        .args(["--set", KEY])
}

fn check(world: &World) -> Finished {
    let finished = with_secrets(world, &["check"]).run();
    world.assert_no_leak(&finished);
    finished
}

/// What follows the lines of steps, which run at the same time.
fn tables(finished: &Finished) -> String {
    let lines = finished.stderr.lines().skip_while(|line| !line.starts_with("Principle XI"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The rows with this status, by their titles.
fn rows<'a>(tables: &'a str, status: &str) -> Vec<&'a str> {
    tables
        .lines()
        .filter_map(|line| line.split_once(&format!("  {status}  ")))
        .map(|(title, _)| title.trim_end())
        .collect()
}

#[test]
fn the_gate_of_the_todo_app() {
    let world = World::todo();
    let finished = check(&world).expect_code(0);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
    world.assert_untouched();
}

#[test]
fn a_row_that_fails_says_where_and_the_others_are_judged_all_the_same() {
    let world = World::todo();
    world.project.replace("backend/Dockerfile", "USER 10001:10001", "USER root");
    let finished = check(&world).expect_code(3);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
}

#[test]
fn a_row_that_was_not_reached_did_not_pass() {
    let world = World::todo();
    world.project.append("helm/todo-app/templates/backend-service.yaml", "\n{{ fail \"no\" }}\n");
    let finished = check(&world);
    assert_ne!(finished.code(), Some(0), "{}", finished.output());
    let tables = tables(&finished);
    assert_eq!(
        rows(&tables, "NOT JUDGED"),
        [
            "Resource requests/limits",
            "Liveness/readiness probes",
            "Services with correct types",
            "Secrets in K8s Secret"
        ],
        "{tables}"
    );
    assert!(rows(&tables, "PASS").contains(&"Non-root user"), "{tables}");
}

#[test]
fn a_deploy_is_stopped_by_rows_that_fail_and_tells_no_other() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.constitution]\nplugin = \"constitution\"\n");
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
    let lines = |word: &str| finished.stderr.lines().filter(|line| line.starts_with(word)).count();
    assert!(lines("failed: ") > 0, "{}", finished.output());
    assert_eq!(lines("passed: ") + lines("not judged: "), 0, "{}", finished.output());
}

#[test]
fn other_commands_only_count_what_is_good() {
    let world = World::todo();
    let command = ["plan", "--target", "docker-desktop", "-o", "next.json"];
    let finished = with_secrets(&world, &command).run().expect_code(0);
    for sum in
        ["check:constitution: 9 passed", "check-objects:constitution: 6 passed, 2 not judged"]
    {
        assert!(finished.stderr.contains(&format!(" {sum} (")), "{}", finished.output());
    }
    for word in ["PASS", "NOT JUDGED", "passed: ", "not judged: "] {
        assert!(!finished.stderr.contains(word), "{}", finished.output());
    }
}
