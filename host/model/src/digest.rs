//! Digests of the inputs of steps, in 64 hexadecimal digits.
//!
//! Owns walking a build context with its ignore patterns, and the cache with which an unchanged file costs a `stat`
//! instead of a read. The build plugin lists the files of a context; `capability` decides which digests a component gets.

mod ignored;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use ignored::IgnorePatterns;

use crate::private_file;

/// A file that changed this recently could change again without a new time stamp, so its digest is not cached.
const SETTLED: Duration = Duration::from_secs(2);

/// Digest of several parts. Different lists of parts give different digests.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.add(bytes);
        self
    }

    /// Adds a part.
    pub fn add(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The digest in hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Bytes as lower case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The state of a file at its last reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    size: u64,
    modified: u128,
    inode: u64,
    digest: String,
}

/// Digests of a directory's files, cached between runs.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    files: BTreeMap<String, Known>,
}

/// Digest of the names, kinds, executable bits and contents of all files below `paths` that `patterns` do not ignore.
/// Paths and patterns are relative to `root`. `cache` is the directory of the cached digests.
///
/// # Errors
/// If a file cannot be read; the error has its path.
pub fn digest_tree(
    root: &Path,
    paths: &[String],
    patterns: &IgnorePatterns,
    cache: Option<&Path>,
) -> io::Result<String> {
    let memory_file = cache.map(|cache| {
        let mut hasher = Hasher::new().part(root.as_os_str().as_encoded_bytes());
        for path in paths {
            hasher.add(path);
        }
        cache.join("digests").join(format!("{}.json", &hasher.finish()[..32]))
    });
    let before: Memory = memory_file
        .as_ref()
        .and_then(|file| fs_err::read(file).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let mut walk = Walk {
        root,
        patterns,
        before: &before,
        after: Memory::default(),
        hasher: Hasher::new(),
        now: SystemTime::now(),
    };
    let mut sorted: Vec<&String> = paths.iter().collect();
    sorted.sort();
    for path in sorted {
        let metadata = fs_err::symlink_metadata(root.join(path))?;
        walk.entry(path, &metadata)?;
    }
    let Walk { after, hasher, .. } = walk;
    if let Some(file) = memory_file
        && before.files != after.files
    {
        // A failure only makes the next run slower.
        let _ = private_file::write(&file, &serde_json::to_vec(&after)?);
    }
    Ok(hasher.finish())
}

struct Walk<'a> {
    root: &'a Path,
    patterns: &'a IgnorePatterns,
    before: &'a Memory,
    after: Memory,
    hasher: Hasher,
    now: SystemTime,
}

impl Walk<'_> {
    fn entry(&mut self, path: &str, metadata: &std::fs::Metadata) -> io::Result<()> {
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = fs_err::read_link(self.root.join(path))?;
            self.hasher.add("link");
            self.hasher.add(path);
            self.hasher.add(target.as_os_str().as_encoded_bytes());
        } else if kind.is_dir() {
            self.directory(path)?;
        } else if kind.is_file() {
            let digest = self.file(path, metadata)?;
            self.hasher.add(if is_executable(metadata) { "program" } else { "file" });
            self.hasher.add(path);
            self.hasher.add(digest);
        }
        // Sockets, pipes and devices are not part of a build.
        Ok(())
    }

    fn directory(&mut self, path: &str) -> io::Result<()> {
        let mut entries =
            fs_err::read_dir(self.root.join(path))?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs_err::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if path == "." { name.into_owned() } else { format!("{path}/{name}") };
            let metadata = entry.metadata()?;
            let ignored = self.patterns.ignores(Path::new(&path), metadata.is_dir());
            // An exception may match a file inside of an ignored directory.
            let enter = metadata.is_dir() && self.patterns.may_reach_below(Path::new(&path));
            if !ignored || enter {
                self.entry(&path, &metadata)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str, metadata: &std::fs::Metadata) -> io::Result<String> {
        let modified = metadata.modified()?;
        let state = Known {
            size: metadata.len(),
            modified: modified
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos(),
            inode: inode(metadata),
            digest: String::new(),
        };
        let known = self.before.files.get(path).filter(|known| {
            (known.size, known.modified, known.inode) == (state.size, state.modified, state.inode)
        });
        let digest = match known {
            Some(known) => known.digest.clone(),
            None => digest_file(&self.root.join(path))?,
        };
        if self.now.duration_since(modified).is_ok_and(|age| age > SETTLED) {
            self.after.files.insert(path.to_owned(), Known { digest: digest.clone(), ..state });
        }
        Ok(digest)
    }
}

/// Digest of one file's contents.
///
/// # Errors
/// If the file cannot be read.
pub fn digest_file(path: &Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                tree.write(path, text);
            }
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }

        fn digest(&self, patterns: &[&str]) -> String {
            let cache = self.0.path().join(".cache");
            let patterns = IgnorePatterns::new(patterns).unwrap();
            digest_tree(self.0.path(), &["api".to_owned()], &patterns, Some(&cache)).unwrap()
        }

        fn age(&self, path: &str) {
            let hour_ago = SystemTime::now() - Duration::from_hours(1);
            let file = std::fs::File::options().write(true).open(self.0.path().join(path)).unwrap();
            file.set_modified(hour_ago).unwrap();
        }
    }

    #[test]
    fn the_digest_depends_on_names_and_contents_only() {
        let tree = Tree::new(&[("api/a", "1"), ("api/sub/b", "2")]);
        let first = tree.digest(&[]);
        assert_eq!(first, tree.digest(&[]));
        tree.write("api/a", "2");
        let second = tree.digest(&[]);
        assert_ne!(first, second);
        tree.write("api/a", "1");
        assert_eq!(first, tree.digest(&[]));
        fs_err::rename(tree.0.path().join("api/a"), tree.0.path().join("api/c")).unwrap();
        assert_ne!(first, tree.digest(&[]));
    }

    #[test]
    fn ignored_files_do_not_count() {
        let tree = Tree::new(&[("api/a", "1"), ("api/node_modules/x/y", "1")]);
        let first = tree.digest(&["/api/node_modules"]);
        tree.write("api/node_modules/x/y", "2");
        assert_eq!(first, tree.digest(&["/api/node_modules"]));
        assert_ne!(first, tree.digest(&[]));
    }

    #[test]
    fn an_exception_applies_inside_of_an_ignored_directory() {
        let tree = Tree::new(&[("api/keep.log", "1"), ("api/other.log", "1")]);
        let patterns = ["/api/*.log", "!/api/keep.log"];
        let first = tree.digest(&patterns);
        tree.write("api/other.log", "2");
        assert_eq!(first, tree.digest(&patterns));
        tree.write("api/keep.log", "2");
        assert_ne!(first, tree.digest(&patterns));
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let tree = Tree::new(&[("api/a", "1")]);
        tree.age("api/a");
        let first = tree.digest(&[]);
        let memory = fs_err::read_dir(tree.0.path().join(".cache/digests"))
            .unwrap()
            .map(|entry| fs_err::read_to_string(entry.unwrap().path()).unwrap())
            .collect::<String>();
        assert!(memory.contains("api/a"), "{memory}");
        assert_eq!(first, tree.digest(&[]));
        tree.write("api/a", "2");
        tree.age("api/a");
        assert_ne!(first, tree.digest(&[]), "same size, but another time stamp");
    }

    #[test]
    fn the_borders_of_parts_count() {
        let together = Hasher::new().part("ab").part("c").finish();
        assert_ne!(together, Hasher::new().part("a").part("bc").finish());
    }
}
