//! The cache of the results of pure steps (invariant I7).
//!
//! Owns a directory of results, each in a file named by the digest of its inputs. Without the cache, a run is slower but
//! has the same result. Results have placeholders in place of secret values.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use todohost_model::private_file;

/// Results older than this are removed.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Maximum size of a result that is read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Cached results of one kind of step.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// The cache of `step`, below the directory `cache`.
    pub fn new(cache: &Path, step: &str) -> Self {
        Self { directory: cache.join("memo").join(step) }
    }

    /// The result for inputs with this digest; `None` if it is not cached or not readable.
    pub fn get<T: DeserializeOwned>(&self, digest: &str) -> Option<T> {
        let file = self.file(digest);
        let size = fs_err::metadata(&file).ok()?.len();
        let bytes = (size <= LARGEST).then(|| fs_err::read(&file).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Stores a result. A failure is ignored, because it only makes later runs slower.
    pub fn put<T: Serialize>(&self, digest: &str, result: &T) {
        if let Ok(bytes) = serde_json::to_vec(result)
            && private_file::write(&self.file(digest), &bytes).is_ok()
        {
            self.remove_old();
        }
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.json"))
    }

    fn remove_old(&self) {
        let Ok(entries) = fs_err::read_dir(&self.directory) else { return };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|modified| now.duration_since(modified).unwrap_or_default());
            if age.is_ok_and(|age| age > KEPT) {
                let _ = fs_err::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_returned_and_are_private() {
        let cache = tempfile::tempdir().unwrap();
        let cached = Cache::new(cache.path(), "render");
        assert_eq!(cached.get::<Vec<u8>>("d1"), None);
        cached.put("d1", &vec![1, 2]);
        assert_eq!(cached.get::<Vec<u8>>("d1"), Some(vec![1, 2]));
        assert_eq!(cached.get::<String>("d1"), None, "a result of another type is not returned");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = cache.path().join("memo/render/d1.json");
            assert_eq!(fs_err::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
