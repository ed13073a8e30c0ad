//! What `check` answers: the tables of what checks judged, here those of the Todo app of this repository, and those of
//! projects of other shapes, where one edit fails its row and no other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
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

/// Projects that hold to every row: two programs and a database, one program alone, and a layout with other names.
const PROJECTS: [&str; 3] = ["shop", "service", "studio"];

/// What a program judges, in the tables' order.
const JUDGED: [&str; 15] = [
    "Dockerfile for each service",
    "Multi-stage builds",
    "Slim base images",
    "Dependencies in separate layer",
    "No dev dependencies in image",
    "Secrets not baked in",
    "EXPOSE directive",
    "Helm chart structure",
    "Resource requests/limits",
    "Liveness/readiness probes",
    "Services with correct types",
    "Secrets in K8s Secret",
    "Non-root user",
    "VI. Simplicity First",
    "VIII. Security",
];

/// What makes a project break a row.
enum Edit {
    Replace(&'static str, &'static str, &'static str),
    Write(&'static str, &'static str),
    Remove(&'static str),
}
use Edit::{Remove, Replace, Write};

/// The judged rows whose rules read files, each with an edit that breaks it.
const OF_FILES: [(&str, &str, Edit); 9] = [
    (
        "Dockerfile for each service",
        "shop",
        Replace("todohost.toml", "context = \"api\"\n", "context = \"api\"\nstage = \"none\"\n"),
    ),
    (
        "Multi-stage builds",
        "shop",
        Replace("web/Dockerfile", "COPY --from=builder /app/dist ./dist", "COPY src ./dist"),
    ),
    (
        "Slim base images",
        "service",
        Replace(
            "Dockerfile",
            "FROM gcr.io/distroless/static-debian12:nonroot",
            "FROM debian:13\nUSER 1",
        ),
    ),
    (
        "Dependencies in separate layer",
        "shop",
        Replace("api/Dockerfile", "COPY pyproject.toml uv.lock ./", "COPY . ."),
    ),
    (
        "No dev dependencies in image",
        "studio",
        Replace("services/ui/Dockerfile", "pnpm build && pnpm prune --prod", "pnpm build"),
    ),
    ("Secrets not baked in", "studio", Write("services/render/server.key", "x")),
    ("EXPOSE directive", "service", Replace("Dockerfile", "EXPOSE 8080/tcp\n", "")),
    ("Helm chart structure", "shop", Remove("chart/values.yaml")),
    (
        "Non-root user",
        "studio",
        Replace("services/render/worker.Dockerfile", "USER worker", "USER root"),
    ),
];

/// The same for rules that read rendered objects, by an edit of the chart; the one row that only warns is not here.
const OF_OBJECTS: [(&str, &str, Edit); 5] = [
    (
        "Resource requests/limits",
        "studio",
        Replace(
            "charts/studio/templates/ui/deployment.yaml",
            "limits: { memory: 32Mi }",
            "limits: {}",
        ),
    ),
    (
        "Liveness/readiness probes",
        "service",
        Replace("deploy/templates/all.yaml", "livenessProbe", "startupProbe"),
    ),
    (
        "Services with correct types",
        "shop",
        Replace("chart/templates/api.yaml", "type: ClusterIP", "type: NodePort"),
    ),
    (
        "Secrets in K8s Secret",
        "shop",
        Replace(
            "chart/templates/web.yaml",
            "- name: API_URL\n              value: http://{{ .Release.Name }}-api:8000",
            "- name: API_TOKEN\n              value: x",
        ),
    ),
    (
        "VIII. Security",
        "shop",
        Replace("chart/templates/api.yaml", "runAsUser: 10001", "runAsUser: 0"),
    ),
];

/// The row whose faults are warnings.
const ONLY_WARNS: &str = "VI. Simplicity First";

/// A command with what the project needs.
fn run(world: &World, project: &str, command: &str) -> Finished {
    let host = world.host().args([command]);
    if project == "shop" {
        return host.args(["--set", &format!("secrets.databaseUrl={DATABASE}")]).run();
    }
    host.run()
}

/// Exactly this row fails, and the others are judged all the same.
fn assert_each_breaks_its_row(edits: &[(&str, &str, Edit)]) {
    for (row, project, edit) in edits {
        let world = World::gate(project);
        match edit {
            Replace(path, old, new) => world.project.replace(path, old, new),
            Write(path, text) => world.project.write(path, text),
            Remove(path) => std::fs::remove_file(world.project.root().join(path)).unwrap(),
        }
        let finished = run(&world, project, "check").expect_code(3);
        let tables = tables(&finished);
        assert_eq!(rows(&tables, "FAIL"), [*row], "{}", finished.output());
        let others: Vec<&str> = JUDGED.into_iter().filter(|other| other != row).collect();
        assert_eq!(rows(&tables, "PASS"), others, "{row}: {}", finished.output());
    }
}

#[test]
fn any_project_that_holds_to_every_row_passes() {
    for project in PROJECTS {
        let world = World::gate(project);
        let finished = run(&world, project, "check").expect_code(0);
        let tables = tables(&finished);
        assert_eq!(rows(&tables, "PASS"), JUDGED, "{}", finished.output());
        let untold = ["I. Spec-Driven Development", "II. Clean Code"];
        assert_eq!(rows(&tables, "NOT JUDGED"), untold, "{}", finished.output());
    }
}

#[test]
fn an_edit_of_a_recipe_or_file_fails_its_row_and_no_other() {
    assert_each_breaks_its_row(&OF_FILES);
}

#[test]
fn an_edit_of_the_chart_fails_its_row_and_no_other() {
    assert_each_breaks_its_row(&OF_OBJECTS);
}

#[test]
fn a_row_that_only_warns_does_not_fail_the_check() {
    let world = World::gate("studio");
    world.project.replace(
        "charts/studio/templates/render/stateful.yaml",
        "name: render\nspec:",
        "name: render\n  annotations:\n    helm.sh/hook: post-install\nspec:",
    );
    world.project.replace("todohost.toml", "[secrets]\n\"queue.password\" = {}\n", "");
    let finished = run(&world, "studio", "check").expect_code(0);
    assert_eq!(
        rows(&tables(&finished), "WARNING"),
        ["VI. Simplicity First"],
        "{}",
        finished.output()
    );
}

#[test]
fn every_row_that_is_judged_has_an_edit_that_breaks_it() {
    let edits = OF_FILES.iter().chain(&OF_OBJECTS);
    let rows: BTreeSet<&str> = edits.map(|(row, ..)| *row).chain([ONLY_WARNS]).collect();
    assert_eq!(rows, BTreeSet::from(JUDGED));
}

/// The gate's own tests judge objects that are written by hand.
#[test]
fn what_the_gates_own_tests_judge_is_what_the_charts_render() {
    for project in PROJECTS {
        let world = World::gate(project);
        let rendered = run(&world, project, "render").expect_code(0).stdout;
        assert_eq!(objects(&rendered), objects(&world.project.read("rendered.yaml")), "{rendered}");
    }
}

/// The objects of a manifest, by kind and name, without tags of images and what Secrets hold.
fn objects(manifest: &str) -> BTreeMap<String, Value> {
    let documents = manifest.split("---\n").filter(|document| !document.trim().is_empty());
    let parsed = documents.map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    let named = parsed.map(|mut object| {
        if object["kind"] == "Secret" {
            object["stringData"] = Value::Null;
        }
        for list in ["initContainers", "containers"] {
            let pod = object.pointer_mut("/spec/template/spec");
            let containers = pod.and_then(|pod| pod.get_mut(list)?.as_array_mut());
            for container in containers.into_iter().flatten() {
                let image = container["image"].as_str().unwrap();
                container["image"] = image.rsplit_once(':').unwrap().0.into();
            }
        }
        (format!("{}/{}", object["kind"], object["metadata"]["name"]), object)
    });
    named.collect()
}
