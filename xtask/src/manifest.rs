//! The two lines of a plugin's manifest that the build needs; the host reads the rest.

use miette::Diagnostic;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a `plugin.toml` cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum ManifestError {
    /// It cannot be read.
    #[error(transparent)]
    #[diagnostic(code(xtask::manifest::read))]
    Read(#[from] std::io::Error),
    /// It is not TOML, or lacks a line.
    #[error("{} is no plugin manifest", path.display())]
    #[diagnostic(code(xtask::manifest::parse), help("it needs at least `id` and `version`"))]
    Parse {
        /// The file.
        path: PathBuf,
        /// What TOML says of it.
        #[source]
        source: toml::de::Error,
    },
    /// The directory and the manifest disagree.
    #[error("{} says id {id:?}, but lies in a directory of another name", path.display())]
    #[diagnostic(code(xtask::manifest::name), help("name the directory after the id"))]
    Name {
        /// The file.
        path: PathBuf,
        /// The id in it.
        id: String,
    },
}

/// Who a plugin is.
#[derive(Deserialize)]
pub struct Manifest {
    /// Its id: also its directory's name, and the end of its crate's.
    pub id: String,
    /// Its version.
    pub version: String,
}

impl Manifest {
    /// Reads `plugin.toml` of a plugin's directory; none if the directory is no plugin.
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
