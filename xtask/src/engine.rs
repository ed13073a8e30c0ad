//! Engines: Go programs in plugins, found by `engine/go.mod`. Builds a program, adapts it, and composes it with the
//! plugin's component. A Go build takes a minute, so its result is cached by a digest of its inputs.

use crate::component::{self, ComponentError};
use crate::digest::Digest;
use crate::workspace::{self, Workspace, WorkspaceError};
use miette::Diagnostic;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// Arguments of `go`: build a library for WebAssembly, without debug information.
const BUILD: [&str; 5] =
    ["build", "-mod=readonly", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w"];

/// Errors of building an engine.
#[derive(Debug, Error, Diagnostic)]
pub enum EngineError {
    /// `go` is not installed.
    #[error("cannot run the Go toolchain: {0}")]
    #[diagnostic(
        code(xtask::engine::toolchain),
        help("install Go 1.26 or newer from https://go.dev/dl, then run this again")
    )]
    Toolchain(std::io::Error),
    /// The program does not build.
    #[error("cannot build {}", directory.display())]
    #[diagnostic(code(xtask::engine::build), help("read the output of go above"))]
    Build {
        /// Directory of the program.
        directory: PathBuf,
    },
    /// The adapter is malformed.
    #[error("cannot assemble the adapter: {0}")]
    #[diagnostic(code(xtask::engine::adapter))]
    Adapter(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(xtask::engine::file))]
    File(#[from] std::io::Error),
    /// The cache directory cannot be found.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The program does not fit its interfaces.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Component(#[from] ComponentError),
}

/// A Go program in a plugin.
pub struct Engine {
    directory: PathBuf,
    wit: PathBuf,
    adapter: PathBuf,
    /// Digest of the inputs of the Go build: sources, compiler and options.
    module_digest: String,
    /// Digest of `module_digest`, the adapter and the interfaces.
    digest: String,
}

impl Engine {
    /// Finds the engine in a plugin's directory, if there is one.
    pub fn find(plugin: &Path) -> Result<Option<Self>, EngineError> {
        let directory = plugin.join("engine");
        if !directory.join("go.mod").exists() {
            return Ok(None);
        }
        let version = Command::new("go")
            .args(["env", "GOVERSION"])
            .current_dir(&directory)
            .output()
            .map_err(EngineError::Toolchain)?;
        let wit = plugin.join("wit");
        let adapter = plugin.join("adapter.wat");
        let mut module = Digest::new();
        module.add("compiler", &version.stdout);
        module.add("options", BUILD.join(" ").as_bytes());
        module.add_path("engine", &directory)?;
        let module_digest = module.finish();
        let mut digest = Digest::new();
        digest.add("module", module_digest.as_bytes());
        digest.add_path("adapter", &adapter)?.add_path("wit", &wit)?;
        Ok(Some(Self { directory, wit, adapter, module_digest, digest: digest.finish() }))
    }

    /// Digest of all inputs.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The files and directories of its sources.
    pub fn inputs(&self) -> [&Path; 3] {
        [&self.directory, &self.wit, &self.adapter]
    }

    /// Composes the engine with the component of its plugin.
    pub fn compose(&self, plugin: Vec<u8>, workspace: &Workspace) -> Result<Vec<u8>, EngineError> {
        let module = fs_err::read(self.module()?)?;
        let adapter = wat::parse_file(&self.adapter)
            .map_err(|error| EngineError::Adapter(error.to_string()))?;
        let interfaces = [workspace.wit(), self.wit.clone()];
        let engine = component::encode_adapted(
            "the engine",
            &module,
            &adapter,
            &[&interfaces[0], &interfaces[1]],
        )?;
        Ok(component::compose(engine, plugin)?)
    }

    /// Path of the core module, which is built unless it is in the cache.
    fn module(&self) -> Result<PathBuf, EngineError> {
        let place = workspace::cache()?.join("helm-engine").join(&self.module_digest);
        let module = place.join("engine.wasm");
        if module.exists() {
            return Ok(module);
        }
        println!("  building {} with go (about a minute, once)", self.directory.display());
        fs_err::create_dir_all(&place)?;
        // Renamed when complete, so an interrupted build does not leave a partial module.
        let unfinished = place.join(format!("engine.{}.unfinished", std::process::id()));
        let status = Command::new("go")
            .args(BUILD)
            .arg("-o")
            .arg(&unfinished)
            .arg(".")
            .current_dir(&self.directory)
            .env("GOOS", "wasip1")
            .env("GOARCH", "wasm")
            .status()
            .map_err(EngineError::Toolchain)?;
        if !status.success() {
            return Err(EngineError::Build { directory: self.directory.clone() });
        }
        fs_err::rename(&unfinished, &module)?;
        Ok(module)
    }
}
