//! Finds components by id or path, without compiling them.
//!
//! An index keeps the description of each file by path, size and times, so that large components are not hashed and
//! parsed on each start. The index is not trusted: loading a component checks its digest again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::introspect::{self, introspect};
use super::{PluginError, PluginInfo, Role, wit};
use todohost_model::private_file;

const INDEX: &str = "plugins.json";
const MAX_INDEXED: usize = 500;

/// The places to search for components.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Id and SHA-256 of each core plugin that was built with this program; no other file is a core plugin.
    pub core: &'static [(&'static str, &'static str)],
    /// Directory of the core plugins, if there is one.
    pub core_dir: Option<PathBuf>,
    /// The project; a plugin's path is relative to it.
    pub project_root: PathBuf,
    /// Cache of this host; created if missing.
    pub cache_dir: PathBuf,
}

/// The known components.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    core: BTreeMap<String, PluginInfo>,
    skipped: Vec<Skipped>,
    index: Mutex<Index>,
}

/// A file in the directory of the core plugins that is not a usable plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The reason, in one line.
    pub reason: String,
}

/// The descriptions of files at their last reading.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// Version of the contract; an index of another version is dropped.
    api: String,
    files: BTreeMap<PathBuf, Indexed>,
    #[serde(skip)]
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Indexed {
    stamp: Stamp,
    info: PluginInfo,
}

/// Identifies a state of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified: u128,
    /// Time of the last change of any kind (`ctime`), which users cannot set; 0 on systems without it.
    changed: i128,
}

impl Registry {
    /// Reads the core plugins. Skips unusable files; a command that needs one reports the reason.
    ///
    /// # Errors
    /// If the directory of the core plugins cannot be read.
    pub fn open(options: RegistryOptions) -> Result<Self, PluginError> {
        let index = Index::read(&options.cache_dir);
        let mut registry =
            Self { core: BTreeMap::new(), skipped: Vec::new(), index: Mutex::new(index), options };
        let Some(directory) = registry.options.core_dir.clone() else { return Ok(registry) };
        let entries =
            fs::read_dir(&directory).map_err(|source| PluginError::Unreadable { source })?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| PluginError::Unreadable { source })?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            match registry.look_at(&path) {
                Ok(info) => registry.add(info),
                Err(error) => {
                    registry.skipped.push(Skipped { path, reason: error.to_string() });
                }
            }
        }
        registry.save();
        Ok(registry)
    }

    /// Adds a plugin. Of two plugins with the same id, the one that was built with this host wins.
    fn add(&mut self, info: PluginInfo) {
        let (kept, left) = match self.core.remove(&info.id) {
            None => (info, None),
            Some(first) if info.core && !first.core => (info, Some(first)),
            Some(first) => (first, Some(info)),
        };
        if let Some(left) = left {
            let (path, other) = (left.path, kept.path.display());
            let reason = format!("{} has the id `{}` of {other}", path.display(), left.id);
            self.skipped.push(Skipped { path, reason });
        }
        self.core.insert(kept.id.clone(), kept);
    }

    /// The plugins beside the host, by id.
    pub fn list(&self) -> Vec<PluginInfo> {
        self.core.values().cloned().collect()
    }

    /// The skipped files in the directory of the core plugins.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The plugin with an id, or at a path relative to the project.
    ///
    /// # Errors
    /// If the id is unknown, or the file is not a plugin.
    pub fn resolve(&self, name: &str) -> Result<PluginInfo, PluginError> {
        if let Some(info) = self.core.get(name) {
            return Ok(info.clone());
        }
        let is_path = name.contains(['/', '\\']) || Path::new(name).extension().is_some();
        if !is_path {
            // If the file of this name was skipped, return its error.
            if let Some(skipped) = self.skipped.iter().find(|skipped| is_file_of(skipped, name)) {
                return self.look_at(&skipped.path);
            }
            let known = self.core.keys().cloned().collect();
            return Err(PluginError::Unknown { name: name.to_owned(), known });
        }
        let info = self.look_at(&self.options.project_root.join(name))?;
        self.save();
        Ok(info)
    }

    /// The only core plugin with a role.
    ///
    /// # Errors
    /// If no plugin or more than one has the role.
    pub fn sole(&self, role: Role) -> Result<PluginInfo, PluginError> {
        let mut found: Vec<&PluginInfo> =
            self.core.values().filter(|info| info.roles.contains(&role)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(info), true) => Ok(info.clone()),
            (last, _) => {
                let found = found.into_iter().chain(last).map(|info| info.id.clone()).collect();
                let skipped = self.skipped.iter().map(|skipped| skipped.reason.clone()).collect();
                Err(PluginError::NotSole { role, found, skipped })
            }
        }
    }

    fn look_at(&self, path: &Path) -> Result<PluginInfo, PluginError> {
        let unreadable = |source| PluginError::Unreadable { source };
        let path = fs::canonicalize(path).map_err(unreadable)?;
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if metadata.len() > introspect::MAX_BYTES {
            let reason = format!("it has more than {} bytes", introspect::MAX_BYTES);
            return Err(PluginError::NotAComponent { path, reason });
        }
        let stamp = Stamp::of(&metadata);
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(indexed) = index.files.get(&path)
            && indexed.stamp == stamp
        {
            let mut info = indexed.info.clone();
            info.core = self.options.trusts(&info.digest);
            return Ok(info);
        }
        let bytes = fs::read(&path).map_err(unreadable)?;
        let info = self.options.read(&path, &bytes)?;
        if index.files.len() >= MAX_INDEXED {
            index.files.clear();
        }
        index.files.insert(path, Indexed { stamp, info: info.clone() });
        index.changed = true;
        Ok(info)
    }

    /// Writes the index. A failure only makes the next start slower.
    fn save(&self) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if !index.changed {
            return;
        }
        index.changed = false;
        let saved = private_file::directory(&self.options.cache_dir).and_then(|()| {
            let text = serde_json::to_vec(&*index).map_err(std::io::Error::other)?;
            private_file::write(&self.options.cache_dir.join(INDEX), &text)
        });
        if let Err(error) = saved {
            tracing::warn!(%error, "cannot write the index of plugins");
        }
    }
}

impl Index {
    fn read(cache_dir: &Path) -> Self {
        let read = fs::read(cache_dir.join(INDEX)).ok();
        let index: Option<Self> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        index
            .filter(|index| index.api == wit::API_VERSION)
            .unwrap_or_else(|| Self { api: wit::API_VERSION.to_owned(), ..Self::default() })
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map_or(0, |time| time.as_nanos());
        Self { bytes: metadata.len(), modified, changed: changed(metadata) }
    }
}

#[cfg(unix)]
fn changed(metadata: &std::fs::Metadata) -> i128 {
    use std::os::unix::fs::MetadataExt;
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_metadata: &std::fs::Metadata) -> i128 {
    0
}

fn is_file_of(skipped: &Skipped, id: &str) -> bool {
    skipped.path.file_stem().is_some_and(|stem| stem == id)
}

impl RegistryOptions {
    /// Reads a component's description from its bytes.
    fn read(&self, path: &Path, bytes: &[u8]) -> Result<PluginInfo, PluginError> {
        let findings = introspect(path, bytes)?;
        let digest = digest(bytes);
        Ok(PluginInfo {
            id: findings.manifest.id.clone(),
            version: findings.manifest.version.clone(),
            description: findings.manifest.description.clone(),
            path: path.to_owned(),
            core: self.trusts(&digest),
            digest,
            roles: findings.roles,
            imports: findings.imports,
            wasi: findings.wasi,
            manifest: findings.manifest,
        })
    }

    /// Whether this is the digest of a core plugin; path and id do not count.
    fn trusts(&self, digest: &str) -> bool {
        self.core.iter().any(|(_, core)| *core == digest)
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
