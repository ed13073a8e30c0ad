//! Walks directories for globs, in an order that does not depend on the file system.

use std::path::{Path, PathBuf};

use fs_err as fs;
use ignore::WalkBuilder;

use super::{invalid, relative, unreadable};
use crate::grant::pattern;
use crate::plugin::wit::imports::workspace::Entry;
use crate::plugin::wit::{Error, ErrorKind};

const MAX_ENTRIES: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// Entries below `root` that match a normalised pattern and may be read, each shown after `prefix`.
pub(super) fn glob(
    root: &Path,
    pattern: &str,
    prefix: &str,
    readable: &dyn Fn(&str) -> bool,
) -> Result<Vec<Entry>, Error> {
    let matcher = pattern::path(pattern)
        .map_err(|error| invalid(format!("{pattern:?} is not a pattern: {}", error.kind())))?
        .compile_matcher();
    let root = match fs::canonicalize(root) {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable("the directory", &error)),
    };
    let start = root.join(literal_start(pattern));
    match fs::canonicalize(&start) {
        Ok(real) if real.starts_with(&root) => {}
        // The directory does not exist, or is a link out of the root.
        _ => return Ok(Vec::new()),
    }
    let mut entries = Vec::new();
    for path in walk(&start)? {
        let Some(name) = relative(&root, &path) else { continue };
        if !matcher.is_match(&name) || !readable(&name) {
            continue;
        }
        let Ok(real) = fs::canonicalize(&path) else { continue };
        // A link has the size and kind of its target, if the target is granted.
        let Some(target) = relative(&root, &real) else { continue };
        if !readable(&target) {
            continue;
        }
        let metadata = fs::metadata(&real).map_err(|error| unreadable(&name, &error))?;
        entries.push(Entry {
            path: format!("{prefix}{name}"),
            is_dir: metadata.is_dir(),
            size: if metadata.is_dir() { 0 } else { metadata.len() },
        });
    }
    Ok(entries)
}

/// Paths at and below `start`, parents first, in the order of their names; links are not followed.
fn walk(start: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut builder = WalkBuilder::new(start);
    builder
        .standard_filters(false)
        .follow_links(false)
        .max_depth(Some(MAX_DEPTH))
        .sort_by_file_name(std::ffi::OsStr::cmp);
    let mut paths = Vec::new();
    for entry in builder.build() {
        let entry = entry.map_err(|error| {
            let shown = start.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let error = error
                .into_io_error()
                .unwrap_or_else(|| std::io::Error::other("cannot list the directory"));
            unreadable(&shown, &error)
        })?;
        paths.push(entry.into_path());
        if paths.len() > MAX_ENTRIES {
            let message = format!("more than {MAX_ENTRIES} files in {}", start.display());
            return Err(Error::new(ErrorKind::Unsupported, "todohost.workspace.too-many", message)
                .with_help("use a narrower pattern"));
        }
    }
    Ok(paths)
}

/// The leading directories of a pattern that have no wildcard.
fn literal_start(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').collect();
    let literal =
        parts.iter().take(parts.len() - 1).take_while(|part| !part.contains(['*', '?', '[', '{']));
    literal.copied().collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("chart/Chart.yaml", "name: x"),
            ("chart/templates/a.yaml", "a"),
            ("chart/templates/b.yaml", "b"),
            ("app/main.py", "print()"),
            ("app/node_modules/x/index.js", "x"),
            ("app/keep.log", "log"),
            ("private/key", "k"),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        directory
    }

    fn names(entries: Vec<Entry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.path).collect()
    }

    #[test]
    fn globs_list_granted_files_that_match() {
        let project = project();
        let granted = pattern::paths(["chart/**"]);
        let readable = |path: &str| granted.is_match(path);
        let find = |pattern| names(glob(project.path(), pattern, "", &readable).unwrap());
        assert_eq!(
            find("chart/**"),
            [
                "chart/Chart.yaml",
                "chart/templates",
                "chart/templates/a.yaml",
                "chart/templates/b.yaml"
            ]
        );
        assert_eq!(find("chart/*.yaml"), ["chart/Chart.yaml"]);
        assert_eq!(find("**/key"), Vec::<String>::new());
        assert_eq!(find("absent/**"), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_list_a_file_that_is_not_granted() {
        let project = project();
        std::os::unix::fs::symlink("../private/key", project.path().join("chart/key")).unwrap();
        let granted = pattern::paths(["chart/**"]);
        let found = glob(project.path(), "chart/*", "", &|path| granted.is_match(path)).unwrap();
        assert_eq!(names(found), ["chart/Chart.yaml", "chart/templates"]);
    }
}
