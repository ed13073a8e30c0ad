//! Refuses a binary or plugins that are older than their sources.
//!
//! The inputs come from the dep-info file beside each artefact: cargo writes it for the host, `xtask plugins` for the
//! core plugins. Times are compared as cargo compares them, so that `tests/scripts/as_built` works for both.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Set by scripts that have built everything themselves: sources may then be edited while their tests run.
pub const BUILT: &str = "TODOHOST_TEST_BUILT";

/// The reason why an artefact does not match its sources in this workspace: one of them is newer or missing, or the
/// artefact is of another checkout.
pub fn stale(built: &Path, dep_info: &Path, workspace: &Path) -> Option<String> {
    let Ok(text) = std::fs::read_to_string(dep_info) else {
        return Some(format!("{} cannot be read", dep_info.display()));
    };
    let Ok(time) = modified(built) else {
        return Some("it cannot be read".to_owned());
    };
    let inputs = inputs(&text);
    if !inputs.iter().any(|input| input.starts_with(workspace)) {
        return Some(format!("it was built from a checkout other than {}", workspace.display()));
    }
    inputs.iter().find_map(|input| match modified(input) {
        Ok(changed) if changed <= time => None,
        Ok(_) => Some(format!("{} changed since", input.display())),
        Err(_) => Some(format!("{} is missing", input.display())),
    })
}

fn modified(path: &Path) -> std::io::Result<SystemTime> {
    std::fs::metadata(path)?.modified()
}

/// The files behind the first target, in which a blank is written as `\ `.
fn inputs(dep_info: &str) -> Vec<PathBuf> {
    let files = dep_info.lines().next().and_then(|line| line.split_once(": "));
    let files = files.map_or(String::new(), |(_, files)| files.replace("\\ ", "\0"));
    files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    /// The verdict on a binary with one source; times are seconds since 1970.
    fn judged(source_time: u64, built_time: u64, workspace: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("with blank")).unwrap();
        for (name, time) in [("with blank/main.rs", source_time), ("program", built_time)] {
            let file = File::create(path(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time)).unwrap();
        }
        let source = path("with blank/main.rs").to_string_lossy().replace(' ', "\\ ");
        std::fs::write(path("program.d"), format!("{}: {source}\n", path("program").display()))
            .unwrap();
        stale(&path("program"), &path("program.d"), &path(workspace))
    }

    #[test]
    fn a_binary_that_is_newer_than_its_sources_is_fresh() {
        assert_eq!(judged(1000, 2000, "with blank"), None);
        assert_eq!(judged(2000, 2000, "with blank"), None);
    }

    #[test]
    fn a_binary_that_is_older_than_a_source_is_stale() {
        let reason = judged(2000, 1000, "with blank").unwrap();
        assert!(reason.contains("with blank/main.rs changed since"), "{reason}");
    }

    #[test]
    fn a_binary_of_another_checkout_is_stale() {
        let reason = judged(1000, 2000, "elsewhere").unwrap();
        assert!(reason.contains("a checkout other than"), "{reason}");
    }

    #[test]
    fn a_binary_with_a_missing_source_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("program"), "").unwrap();
        std::fs::write(path("program.d"), format!("program: {}\n", path("gone.rs").display()))
            .unwrap();
        let reason = stale(&path("program"), &path("program.d"), folder.path()).unwrap();
        assert!(reason.ends_with("gone.rs is missing"), "{reason}");
    }
}
