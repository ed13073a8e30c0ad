//! Makes components of core modules, and one component of two. Custom sections of the modules stay, so a
//! plugin's manifest is found in the result.

use miette::Diagnostic;
use std::path::{Path, PathBuf};
use thiserror::Error;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Why no component came of a module.
#[derive(Debug, Error, Diagnostic)]
pub enum ComponentError {
    /// The module does not fit its interfaces.
    #[error("{what} is no component: {reason}")]
    #[diagnostic(
        code(xtask::component::encode),
        help("does the plugin export its step with `todohost_plugin::export!`?")
    )]
    Encode {
        /// Which module.
        what: String,
        /// The whole chain of causes.
        reason: String,
    },
    /// The interfaces cannot be read.
    #[error("the interfaces in {} do not resolve: {reason}", path.display())]
    #[diagnostic(code(xtask::component::wit))]
    Interfaces {
        /// Their directory.
        path: PathBuf,
        /// The whole chain of causes.
        reason: String,
    },
    /// The two components do not fit each other.
    #[error("the engine does not fit its plugin: {0}")]
    #[diagnostic(
        code(xtask::component::compose),
        help("the plugin's import and the engine's export must have one name and one type")
    )]
    Compose(String),
}

/// A component of a module whose interfaces its bindings have embedded.
pub fn encode(what: &str, module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    encode_with(what, module, None)
}

/// A component of a module of another language: the interfaces are embedded here, and an adapter stands for
/// the system interface that the language's runtime insists on.
pub fn encode_adapted(
    what: &str,
    module: &[u8],
    adapter: &[u8],
    wit: &[&Path],
) -> Result<Vec<u8>, ComponentError> {
    let module = embed(what, module, "core", wit)?;
    let adapter = embed("the adapter", adapter, "adapter", wit)?;
    encode_with(what, &module, Some(&adapter))
}

/// One component: the first one's exports meet the second one's imports, and what is left of both stays.
pub fn compose(engine: Vec<u8>, plugin: Vec<u8>) -> Result<Vec<u8>, ComponentError> {
    let failed = |error: &dyn std::fmt::Display| ComponentError::Compose(format!("{error:#}"));
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: Vec<u8>| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())
            .map_err(|error| failed(&error))?;
        graph.register_package(package).map_err(|error| failed(&error))
    };
    let engine = register("todohost:engine", engine)?;
    let plugin = register("todohost:front", plugin)?;
    wac_graph::plug(&mut graph, vec![engine], plugin).map_err(|error| failed(&error))?;
    graph.encode(EncodeOptions::default()).map_err(|error| failed(&error))
}

fn encode_with(
    what: &str,
    module: &[u8],
    adapter: Option<&[u8]>,
) -> Result<Vec<u8>, ComponentError> {
    let encode = || {
        let mut encoder = ComponentEncoder::default();
        encoder.module(module)?.validate(true);
        if let Some(adapter) = adapter {
            encoder.adapter("wasi_snapshot_preview1", adapter)?;
        }
        encoder.encode()
    };
    encode().map_err(|error| ComponentError::Encode {
        what: what.to_owned(),
        reason: format!("{error:#}"),
    })
}

fn embed(what: &str, module: &[u8], world: &str, wit: &[&Path]) -> Result<Vec<u8>, ComponentError> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for path in wit {
        let (package, _) = resolve.push_path(path).map_err(|error| ComponentError::Interfaces {
            path: path.to_path_buf(),
            reason: format!("{error:#}"),
        })?;
        last = Some(package);
    }
    let failed = |reason: String| ComponentError::Encode { what: what.to_owned(), reason };
    let world = resolve
        .select_world(last.as_slice(), Some(world))
        .map_err(|error| failed(format!("{error:#}")))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| failed(format!("{error:#}")))?;
    Ok(module)
}
