//! Whole-program tests of todohost: `cli` against scripted worlds, `cluster` and `targets` on real ones.
//!
//! Owns their shared parts: the binary under test, which must be current, and its environment on real clusters.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod address;
pub mod fresh;
pub mod helm;
pub mod parcel;
pub mod real;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Reads a variable of the test run, which is not passed on to the binary under test.
#[expect(
    clippy::disallowed_methods,
    reason = "the host reads its own in one place; tests are not the host"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder of this workspace. Test programs run in the folder of their package, in whichever checkout that is: a path
/// from compile time would be that of the checkout in which the program was compiled.
pub fn workspace() -> PathBuf {
    let tests = std::env::current_dir().expect("tests have a working directory");
    tests.parent().unwrap_or(&tests).to_owned()
}

/// Cargo's folder of the profile of this test: one level above the folder of its executable.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has an executable");
    let folder = test.ancestors().nth(2).expect("cargo's layout");
    folder.to_owned()
}

/// Cargo's target folder.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("cargo's layout").to_owned()
}

/// The command that builds into the target folder of this test. The default folder of `make` differs from cargo's.
fn make(goal: &str) -> String {
    match variable("CARGO_TARGET_DIR") {
        Some(_) => format!("make {goal}"),
        None => format!("CARGO_TARGET_DIR={} make {goal}", target_folder().display()),
    }
}

fn assert_fresh(built: &Path, dep_info: &Path, command: &str) {
    if variable(fresh::BUILT).is_some() {
        return;
    }
    if let Some(reason) = fresh::stale(built, dep_info, &workspace()) {
        panic!("{} is stale: {reason}; type: {command}", built.display());
    }
}

/// The binary under test: `TODOHOST_BIN`, or the host that was built by the profile of this test.
///
/// # Panics
/// If it is not built, or is older than its sources.
pub fn binary() -> PathBuf {
    static CHECKED: OnceLock<PathBuf> = OnceLock::new();
    CHECKED
        .get_or_init(|| {
            let named = variable("TODOHOST_BIN").map(PathBuf::from);
            let binary = named.unwrap_or_else(|| {
                profile_folder().join(format!("todohost{}", std::env::consts::EXE_SUFFIX))
            });
            let is_release = binary.parent().is_some_and(|folder| folder.ends_with("release"));
            let command = make(if is_release { "plugins" } else { "build" });
            assert!(binary.is_file(), "{} is not built; type: {command}", binary.display());
            assert_fresh(&binary, &binary.with_extension("d"), &command);
            binary
        })
        .clone()
}

/// The core plugins: `TODOHOST_PLUGINS`, or the folder that `cargo xtask plugins` fills.
///
/// # Panics
/// If they are not built, or are older than their sources.
pub fn plugins() -> PathBuf {
    static CHECKED: OnceLock<PathBuf> = OnceLock::new();
    CHECKED
        .get_or_init(|| {
            let named = variable("TODOHOST_PLUGINS").map(PathBuf::from);
            let folder = named.unwrap_or_else(|| target_folder().join("plugins"));
            let (list, command) = (folder.join("core.d"), make("build"));
            assert!(list.is_file(), "no plugins in {}; type: {command}", folder.display());
            assert_fresh(&list, &list, &command);
            folder
        })
        .clone()
}

/// The cache of compiled components, shared by all tests and test runs.
pub fn compiled_cache() -> PathBuf {
    let place = target_folder().join("test-cache");
    std::fs::create_dir_all(&place).expect("a folder can be made");
    place
}
