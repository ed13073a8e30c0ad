//! Stock Helm 3 and 4, which todohost must be compatible with.
//!
//! Owns their build (from their Go modules, once, into the cache) and calls of them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::real::Real;

/// The last version of Helm 3, also read by `tests/scripts/environment.sh`.
const THREE: &str = "v3.22.0";

/// A program of stock Helm.
#[derive(Clone, Debug)]
pub struct Helm {
    binary: PathBuf,
    /// Arguments of every `install` and `upgrade`.
    applies: &'static [&'static str],
    /// The apply method in its release records.
    pub method: &'static str,
    /// Name in messages of failed tests.
    pub name: &'static str,
}

/// The result of a Helm command.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Helm {
    /// Helm 3: three-way merges on the client.
    pub fn three() -> Self {
        Self { binary: built("helm.sh/helm/v3", THREE), applies: &[], method: "", name: "helm 3" }
    }

    /// Helm 4 with its default, server-side apply.
    pub fn four() -> Self {
        Self {
            binary: built("helm.sh/helm/v4", &four()),
            applies: &[],
            method: "ssa",
            name: "helm 4",
        }
    }

    /// Helm 4 with client-side apply, as for releases of Helm 3.
    pub fn four_on_the_client() -> Self {
        Self {
            applies: &["--server-side=false"],
            method: "csa",
            name: "helm 4 on the client",
            ..Self::four()
        }
    }

    /// Runs a command line in the folder and the namespace of the project.
    pub fn run(&self, real: &Real, line: &str) -> Said {
        let home = real.project.home();
        let mut command = Command::new(&self.binary);
        command
            .args(line.split_whitespace())
            .args(["--namespace", real.namespace(), "--kube-context", real.context()])
            .current_dir(real.project.root())
            .env("HELM_CACHE_HOME", home.join("helm-cache"))
            .env("HELM_CONFIG_HOME", home.join("helm-config"))
            .env("HELM_DATA_HOME", home.join("helm-data"));
        if ["install ", "upgrade "].iter().any(|verb| line.starts_with(verb)) {
            command.args(self.applies);
        }
        let output = command.output().expect("helm runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            ok: output.status.success(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs a command line and returns its standard output.
    ///
    /// # Panics
    /// If the command fails.
    pub fn ok(&self, real: &Real, line: &str) -> String {
        let said = self.run(real, line);
        assert!(said.ok, "{} {line}\n{}\n{}", self.name, said.stdout, said.stderr);
        said.stdout
    }

    /// Runs a command line with `-o json` and returns its document.
    ///
    /// # Panics
    /// If the command fails or does not print JSON.
    pub fn json(&self, real: &Real, line: &str) -> Value {
        let text = self.ok(real, &format!("{line} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}\n{text}"))
    }
}

/// The Helm version in the renderer.
fn four() -> String {
    let manifest = include_str!("../../plugins/steps/helm/engine/go.mod");
    manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix("helm.sh/helm/v4 "))
        .expect("the engine requires helm")
        .to_owned()
}

fn built(module: &str, version: &str) -> PathBuf {
    let cache = super::variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| super::variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let place = cache.expect("HOME is set").join("todohost").join("helm-upstream").join(version);
    let binary = place.join("helm");
    if !binary.exists() {
        let made = Command::new("go")
            .args(["install", "-trimpath", &format!("{module}/cmd/helm@{version}")])
            .env("GOBIN", &place)
            .env("CGO_ENABLED", "0")
            .status()
            .expect("go runs");
        assert!(made.success(), "helm {version} does not build");
    }
    binary
}
