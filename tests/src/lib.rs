//! Whole-program tests of todohost: `cli` against scripted worlds, `cluster` and `targets` on real ones.
//!
//! Owns their shared parts: the binary under test, and its environment on real clusters.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod address;
pub mod helm;
pub mod parcel;
pub mod real;

use std::path::{Path, PathBuf};

/// Reads a variable of the test run, which is not passed on to the binary under test.
#[expect(
    clippy::disallowed_methods,
    reason = "the host reads its own in one place; tests are not the host"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder of this workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Cargo's target folder: two levels above the executable of this test.
pub fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has an executable");
    let folder = test.ancestors().nth(3).expect("cargo's layout");
    folder.to_owned()
}

/// The binary under test: `TODOHOST_BIN`, or the release build beside this test.
pub fn binary() -> PathBuf {
    let place = variable("TODOHOST_BIN").map_or_else(
        || {
            target_folder()
                .join("release")
                .join(format!("todohost{}", std::env::consts::EXE_SUFFIX))
        },
        PathBuf::from,
    );
    assert!(place.is_file(), "{} is not built: run `make plugins`", place.display());
    place
}

/// Its core plugins: `TODOHOST_PLUGINS`, or where `cargo xtask plugins` puts them.
pub fn plugins() -> PathBuf {
    let place =
        variable("TODOHOST_PLUGINS").map_or_else(|| target_folder().join("plugins"), PathBuf::from);
    assert!(
        place.join("core.json").is_file(),
        "no plugins in {}: run `make plugins`",
        place.display()
    );
    place
}

/// The cache of compiled components, shared by all tests and test runs.
pub fn compiled_cache() -> PathBuf {
    let place = target_folder().join("test-cache");
    std::fs::create_dir_all(&place).expect("a folder can be made");
    place
}
