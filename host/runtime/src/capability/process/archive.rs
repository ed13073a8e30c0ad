//! Splits a stream of tar into pieces by entry, so that entries can be left out.
//!
//! Reads names and sizes from the headers of ustar, GNU and pax archives. Other data passes unchanged.

use std::sync::Arc;

const BLOCK: usize = 512;
/// Maximum size of an extension header, which is held back until the next header is complete.
const MAX_HELD: u64 = 1024 * 1024;

/// Consecutive bytes of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The entry of these bytes; `None` for bytes outside of entries.
    pub entry: Option<Arc<str>>,
    pub bytes: Arc<[u8]>,
}

enum Position {
    /// Before or inside of a header.
    Header,
    /// Inside of an extension, which describes the next header.
    Extension { kind: u8, left: u64, body: Vec<u8> },
    /// Inside of an entry's content or the padding of its last block.
    Content { entry: Option<Arc<str>>, left: u64 },
    /// After the last entry, or inside of data that is not an archive.
    Rest,
}

/// Splits an archive into pieces while its bytes arrive.
pub(super) struct Entries {
    position: Position,
    /// Extensions that wait for their header.
    held: Vec<u8>,
    /// The part of a header that has arrived.
    header: Vec<u8>,
    /// The next entry's name, if an extension has it.
    name: Option<String>,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self { position: Position::Header, held: Vec::new(), header: Vec::new(), name: None }
    }

    /// The pieces that these bytes complete.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(self.wants(bytes.len()));
            bytes = rest;
            self.take(taken, &mut pieces);
        }
        pieces
    }

    /// The bytes that are still held back at the end of the stream.
    pub(super) fn finish(mut self) -> Option<Piece> {
        self.held.append(&mut self.header);
        (!self.held.is_empty()).then(|| Piece { entry: None, bytes: self.held.into() })
    }

    /// The number of the offered bytes that belong to the current position.
    fn wants(&self, offered: usize) -> usize {
        let most = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(offered);
        match &self.position {
            Position::Header => (BLOCK - self.header.len()).min(offered),
            Position::Extension { left, .. } | Position::Content { left, .. } => most(*left),
            Position::Rest => offered,
        }
    }

    fn take(&mut self, taken: &[u8], pieces: &mut Vec<Piece>) {
        match &mut self.position {
            Position::Header => {
                self.header.extend_from_slice(taken);
                if self.header.len() == BLOCK {
                    self.begin(pieces);
                }
            }
            Position::Extension { kind, left, body } => {
                self.held.extend_from_slice(taken);
                body.extend_from_slice(taken);
                *left -= taken.len() as u64;
                if *left == 0 {
                    if let Some(name) = extended_name(*kind, body) {
                        self.name = Some(name);
                    }
                    self.position = Position::Header;
                }
            }
            Position::Content { entry, left } => {
                pieces.push(Piece { entry: entry.clone(), bytes: taken.into() });
                *left -= taken.len() as u64;
                if *left == 0 {
                    self.position = Position::Header;
                }
            }
            Position::Rest => pieces.push(Piece { entry: None, bytes: taken.into() }),
        }
    }

    /// Handles a complete header.
    fn begin(&mut self, pieces: &mut Vec<Piece>) {
        let header = std::mem::take(&mut self.header);
        let size = if is_header(&header) { number(&header[124..136]) } else { None };
        let kind = header[156];
        // The two empty blocks at the end of an archive have no valid size either.
        let padded = size.and_then(|size| size.checked_next_multiple_of(BLOCK as u64));
        let Some(left) = padded else {
            self.give(None, &header, pieces);
            self.position = Position::Rest;
            return;
        };
        if matches!(kind, b'x' | b'L' | b'K') && left <= MAX_HELD && left > 0 {
            self.held.extend_from_slice(&header);
            let body = Vec::new();
            self.position = Position::Extension { kind, left, body };
            return;
        }
        // A global extension (`g`) belongs to no single entry.
        let entry =
            (kind != b'g').then(|| self.name.take().unwrap_or_else(|| plain_name(&header)).into());
        self.give(entry.clone(), &header, pieces);
        self.position =
            if left == 0 { Position::Header } else { Position::Content { entry, left } };
    }

    fn give(&mut self, entry: Option<Arc<str>>, header: &[u8], pieces: &mut Vec<Piece>) {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(header);
        pieces.push(Piece { entry, bytes: bytes.into() });
    }
}

/// Whether a block has the checksum of a header.
fn is_header(block: &[u8]) -> bool {
    let sum = |from: &[u8]| from.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let blanks = 8 * u64::from(b' ');
    number(&block[148..156]) == Some(sum(&block[..148]) + blanks + sum(&block[156..]))
        && block.iter().any(|byte| *byte != 0)
}

/// A number in octal digits, or in big-endian bytes if it is too large for the digits.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        if high[0] != 0x80 || high[1..].iter().any(|byte| *byte != 0) {
            return None;
        }
        return Some(low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

fn until_zero(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn plain_name(header: &[u8]) -> String {
    let name = until_zero(&header[..100]);
    // Only ustar has a prefix; GNU archives have times in these bytes.
    let prefix =
        if &header[257..263] == b"ustar\0" { until_zero(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// The name that an extension gives to the next entry, if any.
fn extended_name(kind: u8, body: &[u8]) -> Option<String> {
    match kind {
        b'L' => Some(until_zero(body)),
        b'x' => {
            let mut records = body;
            // A record is its length, a blank, `key=value` and a line end.
            while let Some(blank) = records.iter().position(|byte| *byte == b' ') {
                let length: usize = std::str::from_utf8(&records[..blank]).ok()?.parse().ok()?;
                let record = records.get(blank + 1..length)?;
                if let Some(path) = record.strip_prefix(b"path=") {
                    return Some(String::from_utf8_lossy(path.strip_suffix(b"\n")?).into_owned());
                }
                records = &records[length..];
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with these entries, written by the crate `tar`, which uses extensions for long names.
    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// The archive without some entries, read in chunks of `step` bytes.
    fn without(archive: &[u8], left_out: &[&str], step: usize) -> Vec<u8> {
        let mut entries = Entries::new();
        let mut pieces: Vec<Piece> =
            archive.chunks(step).flat_map(|chunk| entries.push(chunk)).collect();
        pieces.extend(entries.finish());
        let is_left_out =
            |piece: &Piece| piece.entry.as_deref().is_some_and(|name| left_out.contains(&name));
        let kept = pieces.iter().filter(|piece| !is_left_out(piece));
        kept.flat_map(|piece| piece.bytes.to_vec()).collect()
    }

    fn names(archive: &[u8]) -> Vec<(String, u64)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.path().unwrap().display().to_string(), entry.size())).collect()
    }

    #[test]
    fn entries_are_left_out_for_every_chunk_size() {
        let long = format!("blobs/{}", "a".repeat(200));
        let whole = archive(&[
            ("index.json", b"{}"),
            ("blobs/one", &[1; 513]),
            (&long, &[2; 2000]),
            ("blobs/empty", b""),
            ("manifest.json", b"[]"),
        ]);
        for step in [1, 100, 511, 512, 513, 4096, whole.len()] {
            assert_eq!(without(&whole, &[], step), whole, "cut at {step}");
            let less = without(&whole, &["blobs/one", &long, "blobs/empty"], step);
            let expected = [("index.json".to_owned(), 2), ("manifest.json".to_owned(), 2)];
            assert_eq!(names(&less), expected, "cut at {step}");
        }
    }

    #[test]
    fn a_pax_name_replaces_the_name_in_the_header() {
        let record = b"27 path=blobs/sha256/other\n";
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_path("PaxHeaders/x").unwrap();
        header.set_size(record.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(record);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend(archive(&[("short", b"x"), ("last", b"y")]));
        let less = without(&bytes, &["blobs/sha256/other"], 100);
        assert_eq!(names(&less), [("last".to_owned(), 1)]);
    }

    #[test]
    fn data_that_is_not_an_archive_passes_unchanged() {
        for bytes in [b"just text".to_vec(), vec![7; 5000], vec![0; 1024], Vec::new()] {
            assert_eq!(without(&bytes, &["just"], 64), bytes);
        }
        let mut broken = archive(&[("a", &[1; 600]), ("b", b"x")]);
        // The second header has an invalid size.
        let second = 512 + 1024;
        broken[second + 124..second + 136].fill(0xff);
        assert_eq!(without(&broken, &["b"], 77), broken);
    }
}
