//! Encodes core modules as components, and composes two components into one. The custom sections of the modules stay,
//! so the result contains the plugin's manifest.

use miette::Diagnostic;
use std::path::{Path, PathBuf};
use thiserror::Error;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Errors of encoding and composing components.
#[derive(Debug, Error, Diagnostic)]
pub enum ComponentError {
    /// The module does not fit its interfaces.
    #[error("cannot encode {name} as a component: {reason}")]
    #[diagnostic(
        code(xtask::component::encode),
        help("export the plugin's step with `todohost_plugin::export!`")
    )]
    Encode {
        /// Name of the module.
        name: String,
        /// Chain of causes.
        reason: String,
    },
    /// The interfaces cannot be read.
    #[error("cannot resolve the interfaces in {}: {reason}", path.display())]
    #[diagnostic(code(xtask::component::wit))]
    Interfaces {
        /// Directory of the interfaces.
        path: PathBuf,
        /// Chain of causes.
        reason: String,
    },
    /// The two components do not fit each other.
    #[error("cannot compose the engine with its plugin: {0}")]
    #[diagnostic(
        code(xtask::component::compose),
        help("give the plugin's import and the engine's export the same name and type")
    )]
    Compose(String),
}

/// Encodes a module that contains its interfaces, which the bindings embedded.
pub fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    encode_with(name, module, None)
}

/// Encodes a module in another language: embeds the interfaces, and adds an adapter for the system interface of the
/// language's runtime.
pub fn encode_adapted(
    name: &str,
    module: &[u8],
    adapter: &[u8],
    wit: &[&Path],
) -> Result<Vec<u8>, ComponentError> {
    let module = embed(name, module, "core", wit)?;
    let adapter = embed("the adapter", adapter, "adapter", wit)?;
    encode_with(name, &module, Some(&adapter))
}

/// Composes two components: connects the exports of the engine to the imports of the plugin, and keeps all other
/// imports and exports.
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
    name: &str,
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
        name: name.to_owned(),
        reason: format!("{error:#}"),
    })
}

fn embed(name: &str, module: &[u8], world: &str, wit: &[&Path]) -> Result<Vec<u8>, ComponentError> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for path in wit {
        let (package, _) = resolve.push_path(path).map_err(|error| ComponentError::Interfaces {
            path: path.to_path_buf(),
            reason: format!("{error:#}"),
        })?;
        last = Some(package);
    }
    let failed = |reason: String| ComponentError::Encode { name: name.to_owned(), reason };
    let world = resolve
        .select_world(last.as_slice(), Some(world))
        .map_err(|error| failed(format!("{error:#}")))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| failed(format!("{error:#}")))?;
    Ok(module)
}
