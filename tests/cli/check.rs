//! The tables of `check`: for the Todo app of this repository, and for projects of other shapes, in which one edit
//! fails exactly one row.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use todohost_testkit::{Finished, Host};

use super::world::{DATABASE, World, assert_refusal};

const KEY: &str = "secrets.jwtSecret=0123456789abcdef0123456789abcdef";

/// A command with the secrets of the Todo app.
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

/// The tables, without the lines of steps above them, which vary in order.
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
fn todo_app_passes_the_gate() {
    let world = World::todo();
    let finished = check(&world).expect_code(0);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
    world.assert_untouched();
}

#[test]
fn failed_row_names_its_place_and_other_rows_are_still_judged() {
    let world = World::todo();
    world.project.replace("backend/Dockerfile", "USER 10001:10001", "USER root");
    let finished = check(&world).expect_code(3);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
}

#[test]
fn rows_that_need_rendered_objects_are_not_judged_after_a_render_failure() {
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
fn deploy_stops_at_failed_rows_and_lists_only_those() {
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
fn other_commands_only_count_passed_rows() {
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

/// Projects that pass every row: two programs and a database, a single program, and a layout with other names.
const PROJECTS: [&str; 3] = ["shop", "service", "studio"];

/// The rows that a program can judge, in the order of the tables.
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

/// An edit that makes a row fail.
enum Edit {
    Replace(&'static str, &'static str, &'static str),
    Write(&'static str, &'static str),
    Remove(&'static str),
}
use Edit::{Remove, Replace, Write};

/// The judged rows that read files, each with an edit that makes it fail.
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

/// The judged rows that read rendered objects, each with an edit of the chart; without the row that only warns.
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

/// The row that reports warnings instead of failures.
const ONLY_WARNS: &str = "VI. Simplicity First";

/// A command with the secrets of the project.
fn run(world: &World, project: &str, command: &str) -> Finished {
    let host = world.host().args([command]);
    if project == "shop" {
        return host.args(["--set", &format!("secrets.databaseUrl={DATABASE}")]).run();
    }
    host.run()
}

/// Asserts that exactly this row fails and that the others are still judged.
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
fn projects_of_every_shape_pass() {
    for project in PROJECTS {
        let world = World::gate(project);
        let finished = run(&world, project, "check").expect_code(0);
        let tables = tables(&finished);
        assert_eq!(rows(&tables, "PASS"), JUDGED, "{}", finished.output());
        let not_judged = ["I. Spec-Driven Development", "II. Clean Code"];
        assert_eq!(rows(&tables, "NOT JUDGED"), not_judged, "{}", finished.output());
    }
}

#[test]
fn edit_of_a_dockerfile_or_file_fails_only_its_row() {
    assert_each_breaks_its_row(&OF_FILES);
}

#[test]
fn edit_of_the_chart_fails_only_its_row() {
    assert_each_breaks_its_row(&OF_OBJECTS);
}

#[test]
fn warnings_do_not_fail_the_check() {
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
fn every_judged_row_has_an_edit_that_breaks_it() {
    let edits = OF_FILES.iter().chain(&OF_OBJECTS);
    let rows: BTreeSet<&str> = edits.map(|(row, ..)| *row).chain([ONLY_WARNS]).collect();
    assert_eq!(rows, BTreeSet::from(JUDGED));
}

/// The unit tests of the gate use objects written by hand; these must equal the charts' output.
#[test]
fn gate_fixtures_equal_the_rendered_charts() {
    for project in PROJECTS {
        let world = World::gate(project);
        let rendered = run(&world, project, "render").expect_code(0).stdout;
        assert_eq!(objects(&rendered), objects(&world.project.read("rendered.yaml")), "{rendered}");
    }
}

/// The objects of a manifest by kind and name, without image tags and the content of Secrets.
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
