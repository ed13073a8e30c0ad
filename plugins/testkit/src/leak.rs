//! Finds a secret value in bytes, also if it is encoded or compressed.
//!
//! Searches the plain and the percent-decoded bytes. Then decodes every run of base64 letters, unpacks gzip streams,
//! and searches the results in the same way, up to a maximum depth. A split or encrypted value is not found.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

const DEPTH: usize = 5;
/// Shorter runs of base64 letters are skipped.
const SHORTEST: usize = 12;
const LONGEST_UNPACKED: u64 = 64 << 20;

/// Returns the encodings of `value` in `bytes`, e.g. `base64 > gzip > plain`, or `None` if it is not found.
pub fn find(bytes: &[u8], value: &str) -> Option<String> {
    find_at(bytes, value.as_bytes(), DEPTH)
}

fn find_at(bytes: &[u8], value: &[u8], depth: usize) -> Option<String> {
    if contains(bytes, value) {
        return Some("plain".to_owned());
    }
    if bytes.contains(&b'%') && contains(&percent_decoded(bytes), value) {
        return Some("percent-encoded".to_owned());
    }
    if depth == 0 {
        return None;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        let read =
            flate2::read::GzDecoder::new(bytes).take(LONGEST_UNPACKED).read_to_end(&mut unpacked);
        if read.is_ok() {
            return find_at(&unpacked, value, depth - 1).map(|way| format!("gzip > {way}"));
        }
    }
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in bytes.split(|byte| !letter(byte)).filter(|run| run.len() >= SHORTEST) {
        let run: Vec<u8> = run
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        // The value may begin at any position of a group of four letters.
        for offset in 0..4 {
            let run = &run[offset..];
            let whole = run.len() - usize::from(run.len() % 4 == 1);
            let lenient = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                STANDARD_NO_PAD.config().with_decode_allow_trailing_bits(true),
            );
            if let Ok(decoded) = lenient.decode(&run[..whole])
                && let Some(way) = find_at(&decoded, value, depth - 1)
            {
                return Some(format!("base64 > {way}"));
            }
        }
    }
    None
}

fn contains(bytes: &[u8], value: &[u8]) -> bool {
    !value.is_empty() && bytes.windows(value.len()).any(|window| window == value)
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%'
            && let Some(digits) = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())
            && let Ok(byte) = u8::from_str_radix(digits, 16)
        {
            decoded.push(byte);
            rest = &tail[2..];
        } else {
            decoded.push(*first);
        }
    }
    decoded
}

/// Returns the files below `folder` that contain `value`, each with its encodings.
pub fn find_in_files(folder: &Path, value: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(bytes) = std::fs::read(&path)
                && let Some(way) = find_shallow(&bytes, value)
            {
                found.push((path, way));
            }
        }
    }
    found.sort();
    found
}

/// Large files are compiled code and images; only their plain bytes are searched.
fn find_shallow(bytes: &[u8], value: &str) -> Option<String> {
    let depth = if bytes.len() > 4 << 20 { 0 } else { DEPTH };
    find_at(bytes, value.as_bytes(), depth)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const VALUE: &str = "canary+7f3a:/value";

    #[test]
    fn value_is_found_in_a_helm_release() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer
            .write_all(format!("{{\"data\":\"{}\"}}", STANDARD.encode(VALUE)).as_bytes())
            .unwrap();
        let release = STANDARD.encode(STANDARD.encode(packer.finish().unwrap()));
        assert_eq!(
            find(format!("release: {release}").as_bytes(), VALUE).as_deref(),
            Some("base64 > base64 > gzip > base64 > plain")
        );
    }

    #[test]
    fn value_is_found_at_any_offset_of_encoded_text() {
        for before in ["", "a", "ab", "abc"] {
            let text = URL_SAFE_NO_PAD.encode(format!("{before}url={VALUE}&x"));
            assert!(find(text.as_bytes(), VALUE).is_some(), "{text}");
        }
        assert!(find(b"x=canary%2B7f3a%3A%2Fvalue", VALUE).is_some());
    }

    #[test]
    fn similar_value_is_not_found() {
        assert_eq!(find(STANDARD.encode("canary+7f3a:/valu").as_bytes(), VALUE), None);
    }
}
