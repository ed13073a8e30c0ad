//! Reads a component's roles, imports and manifest from its bytes, without compiling it.
//!
//! The input is untrusted: sizes and counts are limited, and the parser validates the bytes.

use std::collections::BTreeSet;
use std::path::Path;

use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use super::manifest::{self, Manifest, ManifestError};
use super::{PluginError, Role, wit};
use crate::capability::Capability;

/// Maximum size of a component.
pub(super) const MAX_BYTES: u64 = 256 * 1024 * 1024;
const MAX_NAMES: usize = 2000;
const PACKAGE: &str = "todohost:plugin/";

/// The result of reading a component.
pub(super) struct Findings {
    pub roles: BTreeSet<Role>,
    pub imports: BTreeSet<Capability>,
    pub wasi: bool,
    pub manifest: Manifest,
}

/// Reads a component's outer type and its manifest section.
pub(super) fn introspect(path: &Path, bytes: &[u8]) -> Result<Findings, PluginError> {
    let broken = |reason: String| PluginError::NotAComponent { path: path.to_owned(), reason };
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut section: Option<Vec<u8>> = None;
    let mut depth = 0_usize;
    let mut began = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| broken(error.message().to_owned()))? {
            Payload::Version { encoding, .. } if !began => {
                began = true;
                if encoding != Encoding::Component {
                    return Err(broken("it is a core module, not a component".to_owned()));
                }
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(reader) if depth == 0 => {
                for import in reader {
                    let import = import.map_err(|error| broken(error.message().to_owned()))?;
                    imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(reader) if depth == 0 => {
                for export in reader {
                    let export = export.map_err(|error| broken(error.message().to_owned()))?;
                    if export.kind == ComponentExternalKind::Instance {
                        exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(reader) if reader.name() == manifest::SECTION => {
                match &section {
                    Some(first) if first != reader.data() => {
                        return Err(broken("it carries two different manifests".to_owned()));
                    }
                    _ => section = Some(reader.data().to_vec()),
                }
            }
            _ => {}
        }
        if imports.len() + exports.len() > MAX_NAMES {
            return Err(broken(format!("it has more than {MAX_NAMES} imports and exports")));
        }
    }
    if !began {
        return Err(broken("it is empty".to_owned()));
    }
    let (capabilities, wasi) = read_imports(path, &imports)?;
    let roles = read_exports(path, &exports)?;
    let manifest = section
        .ok_or(ManifestError::Missing)
        .and_then(|bytes| Manifest::parse(&bytes))
        .map_err(|source| PluginError::Manifest { path: path.to_owned(), source })?;
    Ok(Findings { roles, imports: capabilities, wasi, manifest })
}

fn read_imports(
    path: &Path,
    names: &[String],
) -> Result<(BTreeSet<Capability>, bool), PluginError> {
    let mut capabilities = BTreeSet::new();
    let mut wasi = false;
    for name in names {
        if name.starts_with("wasi:") {
            wasi = true;
            continue;
        }
        let unknown = || PluginError::Import { path: path.to_owned(), import: name.clone() };
        let interface = ours(path, name)?.ok_or_else(unknown)?;
        if interface == "types" {
            continue;
        }
        capabilities.insert(Capability::of_interface(interface).ok_or_else(unknown)?);
    }
    Ok((capabilities, wasi))
}

fn read_exports(path: &Path, names: &[String]) -> Result<BTreeSet<Role>, PluginError> {
    let mut roles = BTreeSet::new();
    for name in names {
        if let Some(interface) = ours(path, name)? {
            roles.extend(Role::of_interface(interface));
        }
    }
    Ok(roles)
}

/// The interface of our package in a name such as `todohost:plugin/check@0.0.1`.
fn ours<'name>(path: &Path, name: &'name str) -> Result<Option<&'name str>, PluginError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "without a version"));
    // A draft version matches only itself.
    if version != wit::API_VERSION {
        return Err(PluginError::ApiVersion { path: path.to_owned(), found: version.to_owned() });
    }
    Ok(Some(interface))
}
