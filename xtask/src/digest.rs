//! Digests, which identify unchanged inputs.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// A digest over named parts. It includes names and lengths, so different splits have different digests.
pub struct Digest(Sha256);

impl Digest {
    /// Creates an empty digest.
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds bytes under a name.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds a file, or all files below a directory by their relative paths.
    pub fn add_path(&mut self, name: &str, path: &Path) -> io::Result<&mut Self> {
        if !path.is_dir() {
            return Ok(self.add(name, &fs_err::read(path)?));
        }
        let mut entries = fs_err::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs_err::DirEntry::file_name);
        for entry in entries {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            self.add_path(&name, &entry.path())?;
        }
        Ok(self)
    }

    /// The digest in hexadecimal.
    pub fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

/// The plain SHA-256 of bytes, like `sha256sum`.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_splits_have_different_digests() {
        let of = |parts: &[(&str, &str)]| {
            let mut digest = Digest::new();
            for (name, bytes) in parts {
                digest.add(name, bytes.as_bytes());
            }
            digest.finish()
        };
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", ""), ("b", "")]), of(&[("a", "b")]));
    }

    #[test]
    fn sha256_matches_a_known_digest() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
