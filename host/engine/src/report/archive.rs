//! The archive of a failed revision, which the user can inspect and pass on.
//!
//! Owns their format, their bounds and how many are kept. The caller selects the content, and
//! keeps secrets out of it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;

use todohost_model::private_file;

/// Archives that are kept; older ones go.
const KEPT: usize = 10;
/// Largest file in an archive, in bytes. Of a longer text, the end is kept.
const LARGEST_FILE: usize = 512 << 10;
/// Largest archive, before it is compressed.
const LARGEST: usize = 16 << 20;
/// How their names end.
const SUFFIX: &str = ".tar.gz";

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    files: Vec<(String, Vec<u8>)>,
    size: usize,
    left_out: usize,
}

impl Archive {
    /// Adds a text. Its path is made of `steps`, with unsafe characters replaced. Texts that no longer fit are counted.
    pub fn add(&mut self, steps: &[&str], text: &str) {
        let path = steps.iter().map(|step| harmless(step)).collect::<Vec<_>>().join("/");
        let content = end_of(text, LARGEST_FILE);
        if self.size + content.len() > LARGEST {
            self.left_out += 1;
            return;
        }
        self.size += content.len();
        self.files.push((path, content.into_bytes()));
    }

    /// Writes the archive into `folder`, for the user alone, and removes the oldest ones there.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn write(mut self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        if self.left_out > 0 {
            let text = format!("{} files did not fit in\n", self.left_out);
            self.files.push(("left-out.txt".to_owned(), text.into_bytes()));
        }
        let root = harmless(name);
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            header.set_entry_type(tar::EntryType::Regular);
            archive.append_data(&mut header, format!("{root}/{path}"), content.as_slice())?;
        }
        let bytes = archive.into_inner()?.finish()?;
        let path = folder.join(format!("{root}{SUFFIX}"));
        private_file::write(&path, &bytes)?;
        remove_oldest(folder)?;
        Ok(path)
    }
}

fn remove_oldest(folder: &Path) -> io::Result<()> {
    let mut archives: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(SUFFIX))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    archives.sort();
    let surplus = archives.len().saturating_sub(KEPT);
    for (_, path) in archives.into_iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// A path component that cannot leave its folder, on any system.
fn harmless(step: &str) -> String {
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let step: String =
        step.chars().take(120).map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    match step.trim_start_matches('.') {
        "" => "_".to_owned(),
        rest => rest.to_owned(),
    }
}

/// The last so many bytes of a text, from the beginning of a line.
fn end_of(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let from = (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at));
    let end = from.map_or("", |from| &text[from..]);
    let end = end.split_once('\n').map_or(end, |(_, rest)| rest);
    format!("[the beginning is left out]\n{end}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn read(path: &Path) -> BTreeMap<String, String> {
        let file = fs::File::open(path).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (path, text)
        });
        entries.collect()
    }

    #[test]
    fn an_archive_is_readable_only_by_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::default();
        archive.add(&["logs", "web-1", "web.log"], "line\n");
        archive.add(&["objects", "../../etc/passwd"], "{}");
        let path = archive.write(folder.path(), "shop-2").unwrap();
        let files = read(&path);
        assert_eq!(files["shop-2/logs/web-1/web.log"], "line\n");
        assert!(files.keys().all(|name| !name.contains("../")), "{files:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn an_archive_is_bounded_and_counts_the_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::default();
        let text = "0123456789abcde\n".repeat(40_000);
        for number in 0..40 {
            archive.add(&["logs", &number.to_string()], &text);
        }
        let files = read(&archive.write(folder.path(), "b").unwrap());
        assert!(files["b/logs/0"].len() <= LARGEST_FILE + 40);
        assert!(files["b/logs/0"].starts_with("[the beginning is left out]\n0123"));
        assert!(files.values().map(String::len).sum::<usize>() <= LARGEST + 100);
        assert!(files.contains_key("b/left-out.txt"));
    }

    #[test]
    fn only_the_newest_archives_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "the user's own").unwrap();
        for number in 0..KEPT + 3 {
            Archive::default().write(folder.path(), &format!("b{number:02}")).unwrap();
        }
        let names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names.len(), KEPT + 1);
        assert!(names.contains(&"notes.txt".to_owned()));
        assert!(names.contains(&format!("b{:02}.tar.gz", KEPT + 2)));
    }
}
