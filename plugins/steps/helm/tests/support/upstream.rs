//! Upstream's `helm` in the version of the engine, built once into the cache.

use crate::renderer::cache;
use fs_err as fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Path of the `helm` program; builds it if needed.
pub fn helm() -> PathBuf {
    let manifest = include_str!("../../engine/go.mod");
    let version = manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix("helm.sh/helm/v4 "))
        .expect("the engine requires helm");
    let directory = cache().join("helm-upstream").join(version);
    let binary = directory.join("helm");
    if !binary.exists() {
        let built = Command::new("go")
            .args(["install", "-trimpath", &format!("helm.sh/helm/v4/cmd/helm@{version}")])
            .env("GOBIN", &directory)
            .status()
            .expect("go runs");
        assert!(built.success(), "helm {version} failed to build");
    }
    binary
}

/// Runs `helm template demo CHART -n prod` with more arguments. Returns its output or its error text.
pub fn template(root: &Path, chart: &str, more: &[&str]) -> Result<String, String> {
    let output = Command::new(helm())
        .args(["template", "demo", chart, "-n", "prod", "--skip-schema-validation"])
        .args(more)
        .current_dir(root)
        .env("HELM_PLUGINS", root.join("no-plugins"))
        .output()
        .expect("helm runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Creates Helm's starter chart with `helm create`.
pub fn create(root: &Path, name: &str) {
    let output = Command::new(helm()).args(["create", name]).current_dir(root).output();
    assert!(output.expect("helm runs").status.success());
}

/// Copies a chart from a directory of the checkout into the project.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
}
