//! Paths: the workspace's root, the target directory and the cache.

use miette::Diagnostic;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// Errors of finding the paths.
#[derive(Debug, Error, Diagnostic)]
pub enum WorkspaceError {
    /// `cargo metadata` did not run or failed.
    #[error("cargo metadata failed: {0}")]
    #[diagnostic(code(xtask::workspace::cargo), help("run this as `cargo xtask plugins`"))]
    Cargo(String),
    /// No variable for the cache directory is set.
    #[error("cannot find the cache directory: neither XDG_CACHE_HOME nor HOME is set")]
    #[diagnostic(code(xtask::workspace::cache), help("set HOME"))]
    Cache,
}

/// The directories of a checkout and its build.
#[derive(Deserialize)]
pub struct Workspace {
    #[serde(rename = "workspace_root")]
    root: PathBuf,
    #[serde(rename = "target_directory")]
    target: PathBuf,
}

impl Workspace {
    /// Reads the paths with `cargo metadata`, which respects all ways to configure them.
    pub fn find() -> Result<Self, WorkspaceError> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .output()
            .map_err(|error| WorkspaceError::Cargo(error.to_string()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(WorkspaceError::Cargo(text));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| WorkspaceError::Cargo(error.to_string()))
    }

    /// Directory of the interfaces between host and plugins.
    pub fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// Directory of the plugins' sources.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Root of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sources of this program, and the versions of its libraries.
    pub fn builder(&self) -> [PathBuf; 2] {
        [self.root.join("xtask/src"), self.root.join("Cargo.lock")]
    }

    /// Path of the core module that cargo builds from a plugin's crate.
    pub fn module(&self, id: &str) -> PathBuf {
        let name = format!("todohost_{}.wasm", id.replace('-', "_"));
        self.target.join("wasm32-unknown-unknown/release").join(name)
    }

    /// Directory of the components.
    pub fn components(&self) -> PathBuf {
        self.target.join("plugins")
    }
}

/// Cache directory, shared by all checkouts of this user.
#[expect(clippy::disallowed_methods, reason = "the only function that reads the environment")]
pub fn cache() -> Result<PathBuf, WorkspaceError> {
    std::env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("todohost"))
        .ok_or(WorkspaceError::Cache)
}
