//! The layers of the host: each crate may depend on crates of lower layers, and on nothing else of this workspace.

use std::collections::{BTreeMap, BTreeSet};

/// The crates of the host from the top layer down.
const LAYERS: [&[&str]; 5] = [
    &["todohost"],
    &["todohost-engine"],
    &["todohost-project", "todohost-release", "todohost-runtime"],
    &["todohost-cluster", "todohost-secrets"],
    &["todohost-model"],
];

/// Each crate below `host/` with the crates of this workspace that its manifest names, in any section.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let folders = std::fs::read_dir(todohost_tests::workspace().join("host")).unwrap();
    let crates = folders.map(|folder| {
        let manifest = std::fs::read_to_string(folder.unwrap().path().join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
        let named = sections.iter().filter_map(|section| manifest.get(*section)?.as_table());
        let ours = named.flat_map(toml::Table::keys).filter(|name| name.starts_with("todohost"));
        (manifest["package"]["name"].as_str().unwrap().to_owned(), ours.cloned().collect())
    });
    crates.collect()
}

/// The number of a crate's layer, counted from the top.
fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[test]
fn every_dependency_of_a_host_crate_points_down() {
    let mut wrong = Vec::new();
    for (name, dependencies) in arrows() {
        let Some(from) = layer(&name) else {
            wrong.push(format!("{name} has no layer"));
            continue;
        };
        for dependency in dependencies {
            if layer(&dependency).is_none_or(|to| to <= from) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_layers_look_like_this() {
    let arrows = arrows();
    let mut picture = String::new();
    for (number, layer) in LAYERS.iter().enumerate() {
        for name in layer.iter().filter(|name| arrows.contains_key(**name)) {
            let dependencies: Vec<&str> =
                arrows[*name].iter().map(|name| name.trim_start_matches("todohost-")).collect();
            let level = LAYERS.len() - number;
            let name = name.trim_start_matches("todohost-");
            let line = format!("{level} {name:8} -> {}", dependencies.join(", "));
            picture.push_str(line.trim_end());
            picture.push('\n');
        }
    }
    insta::assert_snapshot!(picture, @r"
    5 todohost -> engine, model, project, release, runtime
    4 engine   -> cluster, model, project, release, runtime, secrets
    3 project  -> model, secrets
    3 release  -> cluster, model, secrets
    3 runtime  -> cluster, model, secrets
    2 cluster  -> model
    2 secrets  -> model
    1 model    ->
    ");
}
