//! The id and version in a plugin's manifest. The host reads the rest.

use miette::Diagnostic;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Errors of reading a `plugin.toml`.
#[derive(Debug, Error, Diagnostic)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(code(xtask::manifest::read))]
    Read(#[from] std::io::Error),
    /// The file is not TOML, or lacks a key.
    #[error("{} is not a plugin manifest", path.display())]
    #[diagnostic(code(xtask::manifest::parse), help("set at least `id` and `version`"))]
    Parse {
        /// Path of the file.
        path: PathBuf,
        /// Parser error.
        #[source]
        source: toml::de::Error,
    },
    /// The id differs from the directory's name.
    #[error("the id {id:?} in {} differs from the name of its directory", path.display())]
    #[diagnostic(code(xtask::manifest::name), help("name the directory after the id"))]
    Name {
        /// Path of the file.
        path: PathBuf,
        /// Id in the manifest.
        id: String,
    },
}

/// Identity of a plugin.
#[derive(Deserialize)]
pub struct Manifest {
    /// Id, which is also the name of the directory, and the crate's name without `todohost-`.
    pub id: String,
    /// Version of the plugin.
    pub version: String,
}

impl Manifest {
    /// Reads `plugin.toml` in a directory; `None` if the file does not exist.
    pub fn read(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let path = directory.join("plugin.toml");
        if !path.exists() {
            return Ok(None);
        }
        let manifest: Self = toml::from_str(&fs_err::read_to_string(&path)?)
            .map_err(|source| ManifestError::Parse { path: path.clone(), source })?;
        if directory.file_name().is_none_or(|name| name != manifest.id.as_str()) {
            return Err(ManifestError::Name { path, id: manifest.id });
        }
        Ok(Some(manifest))
    }
}
