//! `core.d`: every file that the core plugins are made of, in the format of cargo's dep-info files.
//!
//! Owns that file. Its modification time is when the last build of all plugins began: a test refuses plugins that are
//! older than one of these files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files that a dep-info file of cargo lists behind its first target.
pub fn read(path: &Path) -> io::Result<Vec<PathBuf>> {
    let text = fs_err::read_to_string(path)?;
    let Some((_, files)) = text.lines().next().and_then(|line| line.split_once(": ")) else {
        return Ok(Vec::new());
    };
    // A blank inside a path is written as `\ `.
    let files = files.replace("\\ ", "\0");
    Ok(files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect())
}

/// Writes the dep-info file of a build that began at this time.
pub fn write(path: &Path, target: &Path, files: &[PathBuf], began: SystemTime) -> io::Result<()> {
    let escaped = |file: &Path| file.to_string_lossy().replace(' ', "\\ ");
    let files: Vec<String> = files.iter().map(|file| escaped(file)).collect();
    fs_err::write(path, format!("{}: {}\n", escaped(target), files.join(" ")))?;
    File::options().write(true).open(path)?.set_modified(began)
}

/// The file, or every file below the directory.
pub fn files_of(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs_err::read_dir(path)? {
        files_of(&entry?.path(), found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_files_are_read_back() {
        let path = std::env::current_exe().unwrap().with_file_name("dep-info-test.d");
        let files = [PathBuf::from("/a/one.rs"), PathBuf::from("/with blank/two.rs")];
        let began = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        write(&path, Path::new("/target/core.json"), &files, began).unwrap();
        assert_eq!(read(&path).unwrap(), files);
        assert_eq!(fs_err::metadata(&path).unwrap().modified().unwrap(), began);
    }
}
