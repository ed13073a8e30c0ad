//! Rules of the house that a program can check.

use std::path::{Path, PathBuf};

/// Products that only plugins may know (invariant I1).
const PRODUCTS: [&str; 11] = [
    "docker",
    "minikube",
    "k3s",
    "k3d",
    "podman",
    "containerd",
    "buildkit",
    "kustomize",
    "kind cluster",
    "kind load",
    "rancher",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_host_names_no_product() {
    let mut named = Vec::new();
    let files = sources(&todohost_tests::workspace().join("host/src"));
    // Tests may use a product's name as an example; what is shipped may not.
    for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in (1..).zip(shipped.lines()) {
            let line = line.to_lowercase();
            // The project's key for the file that an image is built from, as every builder calls it.
            let line = line.replace("dockerfile", "").replace(".dockerignore", "");
            if PRODUCTS.iter().any(|product| line.contains(product)) {
                named.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn only_one_place_reads_the_environment() {
    let host = todohost_tests::workspace().join("host/src");
    let readers: Vec<PathBuf> = sources(&host)
        .into_iter()
        .filter(|path| !path.ends_with("environment.rs"))
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.contains("env::var(")
                || text.contains("env::var_os(")
                || text.contains("env::vars")
        })
        .collect();
    assert_eq!(readers, Vec::<PathBuf>::new());
}
