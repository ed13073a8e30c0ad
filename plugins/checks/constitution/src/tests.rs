//! Checks whole projects: a good one with one edit for each row, two of other shapes, and this repository itself.

mod dockerfiles;
mod edits;
mod world;

use crate::judgement::Facts;
use crate::rows::TABLES;
use std::path::Path;
use todohost_plugin::{Finding, Outcome};
use world::World;

/// The rows with this outcome, in the table's order.
fn rows(findings: &[Finding], outcome: Outcome) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding.outcome == outcome)
        .map(|finding| finding.code.trim_start_matches("constitution."))
        .collect()
}

const THIRTEEN: [&str; 13] = [
    "dockerfile",
    "multi-stage",
    "slim-base",
    "dependency-layer",
    "no-dev-dependencies",
    "no-baked-secrets",
    "expose",
    "chart",
    "resources",
    "probes",
    "services",
    "secrets",
    "non-root",
];

/// Every row passes with evidence, except for `not_judged` and the rows that need a person.
fn assert_holds(findings: &[Finding], not_judged: &[&str]) {
    let passed: Vec<&str> = THIRTEEN
        .into_iter()
        .chain(["simplicity", "security"])
        .filter(|row| !not_judged.contains(row))
        .collect();
    assert_eq!(rows(findings, Outcome::Passed), passed, "{findings:#?}");
    let mut manual = rows(findings, Outcome::NotJudged);
    manual.retain(|row| !not_judged.contains(row));
    assert_eq!(manual, ["spec-driven", "clean-code"]);
    let with_evidence = |finding: &&Finding| finding.outcome == Outcome::Passed;
    for finding in findings.iter().filter(with_evidence) {
        assert!(!finding.evidence.is_empty(), "{finding:?}");
    }
}

#[test]
fn good_project_passes_every_row() {
    assert_holds(&World::fixture("shop").judge(), &[]);
}

#[test]
fn go_service_without_database_passes_every_row() {
    let findings = World::fixture("service").judge();
    assert_holds(&findings, &[]);
    let secrets = findings.iter().find(|finding| finding.code.ends_with(".secrets")).unwrap();
    assert!(secrets.evidence[0].ends_with("no variable contains a secret"), "{secrets:?}");
}

#[test]
fn other_layout_and_names_pass_every_row() {
    assert_holds(&World::fixture("studio").judge(), &[]);
}

#[test]
fn this_repository_passes_the_rows_about_files() {
    let root = Path::new("../../..");
    let project = World::at(root, &["backend", "frontend", "helm"]).project();
    let findings = crate::judge(TABLES[0].rows, &Facts::Files(&project), &crate::Skipped::new());
    let of_files = [&THIRTEEN[..8], &THIRTEEN[12..]].concat();
    assert_eq!(rows(&findings, Outcome::Passed), of_files, "{findings:#?}");
}

#[test]
fn fault_in_a_file_has_its_line_and_help() {
    let mut world = World::fixture("shop");
    world.replace("api/Dockerfile", "USER 10001:10001", "USER root");
    let findings = world.judge();
    let found = findings.iter().find(|finding| finding.outcome == Outcome::Failed).unwrap();
    assert_eq!(found.code, "constitution.non-root");
    assert_eq!(found.message, "shop-api runs as root");
    assert_eq!(found.file.as_deref(), Some("api/Dockerfile"));
    assert_eq!(found.evidence, ["api/Dockerfile:12: shop-api runs as root"]);
    assert!(found.help.as_ref().unwrap().contains("USER 10001"));
    let (start, end) = found.span.unwrap();
    let text = world.text("api/Dockerfile");
    assert_eq!(&text[start as usize..end as usize], "USER root");
}

#[test]
fn fault_in_an_object_has_its_field_and_template() {
    let mut world = World::fixture("shop");
    world.replace("rendered.yaml", "type: ClusterIP", "type: NodePort");
    let findings = world.judge();
    let found = findings.iter().find(|finding| finding.outcome == Outcome::Failed).unwrap();
    assert_eq!(found.object.as_ref().unwrap().name, "shop-api");
    assert_eq!(found.pointer.as_deref(), Some("/spec/type"));
    assert_eq!(found.file.as_deref(), Some("chart/templates/api.yaml"));
    assert_eq!(
        found.evidence,
        [
            "Service/shop-api /spec/type (chart/templates/api.yaml:2): NodePort exposes it outside the cluster, but only shop-web calls it"
        ]
    );
}

#[test]
fn skipped_row_is_not_judged() {
    let mut world = World::fixture("shop");
    world.replace("api/Dockerfile", "EXPOSE 8000\n", "");
    let skipped = crate::Skipped::from([("expose".to_owned(), "a worker".to_owned())]);
    let findings = world.judge_without(&skipped);
    assert_eq!(rows(&findings, Outcome::Failed), [""; 0]);
    let found = findings.iter().find(|found| found.code == "constitution.expose").unwrap();
    assert_eq!(found.outcome, Outcome::NotJudged);
    assert_eq!(found.message, "skipped by the project: a worker");
}

#[test]
fn charts_of_other_renderers_and_missing_images_are_not_judged() {
    let mut world = World::fixture("shop");
    world.replace(
        "todohost.toml",
        "[secrets]",
        "[plugins]\nrender = \"kustomize.wasm\"\n\n[secrets]",
    );
    world.remove("chart/Chart.yaml");
    let not_judged = rows(&world.judge(), Outcome::NotJudged).join(" ");
    assert_eq!(not_judged, "chart spec-driven clean-code");

    let mut bare = World::empty();
    bare.write("todohost.toml", "[app]\nname = \"a\"\nnamespace = \"a\"\nchart = \"c\"\n");
    bare.write("rendered.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n");
    let findings = bare.judge();
    assert_eq!(rows(&findings, Outcome::Passed), [""; 0]);
    assert_eq!(rows(&findings, Outcome::Failed), ["chart"]);
}

#[test]
fn options_schema_lists_every_row() {
    let manifest: toml::Table = toml::from_str(include_str!("../plugin.toml")).unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(manifest["options"]["schema"].as_str().unwrap()).unwrap();
    let rows = schema["properties"]["skip"]["properties"].as_object().unwrap();
    let mut named: Vec<&str> = rows.keys().map(String::as_str).collect();
    let mut known: Vec<&str> =
        TABLES.iter().flat_map(|table| table.rows).map(|row| row.id).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn declared_rows_match_the_tables_of_the_plan() {
    let specs: Vec<_> = TABLES.iter().map(crate::rows::Table::spec).collect();
    let codes: Vec<&str> = specs[0].rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(codes, THIRTEEN.map(|row| format!("constitution.{row}")));
    let titles: Vec<&str> =
        specs.iter().flat_map(|spec| &spec.rows).map(|row| row.value.as_str()).collect();
    assert_eq!(
        titles,
        [
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
            "I. Spec-Driven Development",
            "II. Clean Code",
            "VI. Simplicity First",
            "VIII. Security",
        ]
    );
}
