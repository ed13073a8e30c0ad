//! What pure steps gave for the same inputs before (invariant I7).
//!
//! Owns a directory of answers, each named by the digest of its question. Losing it costs time only. Secret
//! values never come here: whoever remembers something has placeholders in their place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use todohost_model::private_file;

/// Answers that nobody asked for in this long are removed.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Largest answer that is read back.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Remembered answers of one kind of step.
#[derive(Clone, Debug)]
pub struct Memo {
    directory: PathBuf,
}

impl Memo {
    /// The answers of `step` below the cache directory.
    pub fn new(cache: &Path, step: &str) -> Self {
        Self { directory: cache.join("memo").join(step) }
    }

    /// The answer to the question with this digest; `None` where it is unknown or no longer readable.
    pub fn recall<T: DeserializeOwned>(&self, digest: &str) -> Option<T> {
        let file = self.file(digest);
        let size = fs_err::metadata(&file).ok()?.len();
        let bytes = (size <= LARGEST).then(|| fs_err::read(&file).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps an answer. A cache that cannot be written costs time, never truth, so that is no error.
    pub fn remember<T: Serialize>(&self, digest: &str, answer: &T) {
        if let Ok(bytes) = serde_json::to_vec(answer)
            && private_file::write(&self.file(digest), &bytes).is_ok()
        {
            self.forget_old();
        }
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.json"))
    }

    fn forget_old(&self) {
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
    fn answers_come_back_and_are_private() {
        let cache = tempfile::tempdir().unwrap();
        let memo = Memo::new(cache.path(), "render");
        assert_eq!(memo.recall::<Vec<u8>>("d1"), None);
        memo.remember("d1", &vec![1, 2]);
        assert_eq!(memo.recall::<Vec<u8>>("d1"), Some(vec![1, 2]));
        assert_eq!(memo.recall::<String>("d1"), None, "another shape is no answer");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = cache.path().join("memo/render/d1.json");
            assert_eq!(fs_err::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
