//! Walking directories: globs and digests, in an order that does not depend on the file system.

use std::path::{Path, PathBuf};

use fs_err as fs;
use ignore::WalkBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sha2::{Digest, Sha256};

use super::{invalid, relative, resolve, unreadable};
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
        // Not there, or a link that leads out: nothing of it can be seen.
        _ => return Ok(Vec::new()),
    }
    let mut entries = Vec::new();
    for path in walk(&start, None)? {
        let Some(name) = relative(&root, &path) else { continue };
        if !matcher.is_match(&name) || !readable(&name) {
            continue;
        }
        let Ok(real) = fs::canonicalize(&path) else { continue };
        // A link is shown as what it leads to, if that may be seen.
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

/// One digest over names, kinds, executable bits and contents of everything below `paths`.
///
/// Paths are relative to `root` and normalised; `ignore` has the syntax of `.gitignore`, relative to
/// `root`. A link counts as where it points to, and is not followed.
///
/// # Errors
/// Where something cannot be read or a pattern is malformed.
pub fn digest(root: &Path, paths: &[String], ignore: &[String]) -> Result<String, Error> {
    let ignored = ignored(root, ignore)?;
    let mut hash = Sha256::new();
    for path in paths {
        part(&mut hash, b"path", path.as_bytes());
        let start = root.join(path);
        if !start.is_symlink() {
            resolve(root, path)?;
        }
        for file in walk(&start, Some(&ignored))? {
            let name = relative(root, &file).unwrap_or_default();
            add(&mut hash, &file, &name)?;
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn ignored(root: &Path, patterns: &[String]) -> Result<Gitignore, Error> {
    let bad = |error: ignore::Error| invalid(format!("an ignore pattern is malformed: {error}"));
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(bad)?;
    }
    builder.build().map_err(bad)
}

/// Paths at and below `start`, parents first, in the order of their names; links are not followed.
fn walk(start: &Path, ignored: Option<&Gitignore>) -> Result<Vec<PathBuf>, Error> {
    let mut builder = WalkBuilder::new(start);
    builder
        .standard_filters(false)
        .follow_links(false)
        .max_depth(Some(MAX_DEPTH))
        .sort_by_file_name(std::ffi::OsStr::cmp);
    // A directory that is left out may hold what a later pattern takes back, so it is walked then.
    let takes_back = ignored.is_some_and(|ignored| ignored.num_whitelists() > 0);
    if let Some(ignored) = ignored.cloned()
        && !takes_back
    {
        builder.filter_entry(move |entry| {
            let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            !ignored.matched(entry.path(), directory).is_ignore()
        });
    }
    let mut paths = Vec::new();
    for entry in builder.build() {
        let entry = entry.map_err(|error| {
            let shown = start.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let error = error
                .into_io_error()
                .unwrap_or_else(|| std::io::Error::other("it cannot be walked"));
            unreadable(&shown, &error)
        })?;
        let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if takes_back
            && let Some(ignored) = ignored
            && (directory || ignored.matched_path_or_any_parents(entry.path(), false).is_ignore())
        {
            // Whether a directory is there at all is told by what it holds.
            continue;
        }
        paths.push(entry.into_path());
        if paths.len() > MAX_ENTRIES {
            let message = format!("there are more than {MAX_ENTRIES} files in {}", start.display());
            return Err(Error::new(ErrorKind::Unsupported, "todohost.workspace.too-many", message)
                .with_help("leave out what is not needed, e.g. with an ignore file"));
        }
    }
    Ok(paths)
}

fn add(hash: &mut Sha256, file: &Path, name: &str) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(file).map_err(|error| unreadable(name, &error))?;
    part(hash, b"name", name.as_bytes());
    if metadata.is_symlink() {
        let target = fs::read_link(file).map_err(|error| unreadable(name, &error))?;
        part(hash, b"link", target.to_string_lossy().as_bytes());
    } else if metadata.is_dir() {
        part(hash, b"directory", b"");
    } else if metadata.is_file() {
        let mut content = Sha256::new();
        let mut reader = fs::File::open(file).map_err(|error| unreadable(name, &error))?;
        std::io::copy(&mut reader, &mut content).map_err(|error| unreadable(name, &error))?;
        part(
            hash,
            if is_executable(&metadata) { b"program" } else { b"file" },
            &content.finalize(),
        );
    } else {
        part(hash, b"special", b"");
    }
    Ok(())
}

/// Lengths first, so that no two lists of parts give the same bytes.
fn part(hash: &mut Sha256, kind: &[u8], bytes: &[u8]) {
    for piece in [kind, bytes] {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

/// The directories that a pattern begins with, as far as it says them literally.
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
    fn globs_show_what_matches_and_is_granted() {
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
    fn a_link_shows_nothing_that_is_not_granted() {
        let project = project();
        std::os::unix::fs::symlink("../private/key", project.path().join("chart/key")).unwrap();
        let granted = pattern::paths(["chart/**"]);
        let found = glob(project.path(), "chart/*", "", &|path| granted.is_match(path)).unwrap();
        assert_eq!(names(found), ["chart/Chart.yaml", "chart/templates"]);
    }

    #[test]
    fn a_digest_follows_what_is_not_ignored() {
        let project = project();
        let root = project.path();
        let of = |ignore: &[&str]| {
            let ignore: Vec<String> = ignore.iter().map(|&line| line.to_owned()).collect();
            digest(root, &["app".to_owned()], &ignore).unwrap()
        };
        let ignore = ["/app/node_modules", "/app/*.log", "!/app/keep.log"];
        let (all, some, plain) = (of(&[]), of(&ignore), of(&ignore[..1]));
        std::fs::write(root.join("app/node_modules/x/index.js"), "changed").unwrap();
        assert_ne!(of(&[]), all);
        assert_eq!(of(&ignore), some);
        assert_eq!(of(&ignore[..1]), plain);
        std::fs::write(root.join("app/other.log"), "new").unwrap();
        assert_eq!(of(&ignore), some);
        std::fs::write(root.join("app/keep.log"), "changed").unwrap();
        assert_ne!(of(&ignore), some);
    }

    #[test]
    fn a_digest_knows_names_from_contents() {
        let project = project();
        let root = project.path();
        let before = digest(root, &["chart".to_owned()], &[]).unwrap();
        std::fs::rename(root.join("chart/templates/a.yaml"), root.join("chart/templates/c.yaml"))
            .unwrap();
        assert_ne!(digest(root, &["chart".to_owned()], &[]).unwrap(), before);
        assert_eq!(digest(root, &["none".to_owned()], &[]).unwrap_err().kind, ErrorKind::NotFound);
    }
}
