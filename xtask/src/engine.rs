//! Engines: a plugin directory with `engine/go.mod` has a Go program inside, which this builds, adapts and joins
//! with the plugin's own component. A Go build takes a minute, so its result is cached by what went into it.

use crate::component::{self, ComponentError};
use crate::digest::Digest;
use crate::workspace::{self, Workspace, WorkspaceError};
use miette::Diagnostic;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// How the program is built: a library for WebAssembly, without debug information.
const BUILD: [&str; 5] =
    ["build", "-mod=readonly", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w"];

/// Why there is no engine.
#[derive(Debug, Error, Diagnostic)]
pub enum EngineError {
    /// `go` is not installed.
    #[error("the Go toolchain does not run: {0}")]
    #[diagnostic(
        code(xtask::engine::toolchain),
        help("install Go 1.26 or newer from https://go.dev/dl, then run this again")
    )]
    Toolchain(std::io::Error),
    /// The program does not build.
    #[error("{} does not build", directory.display())]
    #[diagnostic(code(xtask::engine::build), help("what go said is above"))]
    Build {
        /// Its directory.
        directory: PathBuf,
    },
    /// The adapter is malformed.
    #[error("the adapter does not assemble: {0}")]
    #[diagnostic(code(xtask::engine::adapter))]
    Adapter(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(xtask::engine::file))]
    File(#[from] std::io::Error),
    /// There is no cache.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workspace(#[from] WorkspaceError),
    /// It does not fit its interfaces.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Component(#[from] ComponentError),
}

/// A Go program that belongs into a plugin.
pub struct Engine {
    directory: PathBuf,
    wit: PathBuf,
    adapter: PathBuf,
    /// Over sources, compiler and build options: what the Go build depends on.
    module_digest: String,
    /// Over that, the adapter and the interfaces.
    digest: String,
}

impl Engine {
    /// The engine of a plugin's directory, if it has one.
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

    /// What went into it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Joins it with the component of its plugin.
    pub fn join(&self, plugin: Vec<u8>, workspace: &Workspace) -> Result<Vec<u8>, EngineError> {
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

    /// The core module, built unless it lies in the cache.
    fn module(&self) -> Result<PathBuf, EngineError> {
        let place = workspace::cache()?.join("helm-engine").join(&self.module_digest);
        let module = place.join("engine.wasm");
        if module.exists() {
            return Ok(module);
        }
        println!("  building {} with go (about a minute, once)", self.directory.display());
        fs_err::create_dir_all(&place)?;
        // Moved into place whole, so that an interrupted build leaves nothing that looks finished.
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
