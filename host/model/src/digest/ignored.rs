//! Ignore patterns of a build's inputs: the syntax of `.gitignore`, relative to the project. Unlike in `.gitignore`, an
//! exception (`!`) also applies inside an ignored directory, as in image builders.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// A list of ignore patterns.
#[derive(Clone, Debug)]
pub struct IgnorePatterns {
    matcher: Gitignore,
    exceptions: Vec<String>,
}

impl IgnorePatterns {
    /// Parses patterns. A later pattern overrides an earlier one.
    ///
    /// # Errors
    /// If a pattern is not a glob.
    pub fn new(patterns: &[impl AsRef<str>]) -> Result<Self, ignore::Error> {
        let mut builder = GitignoreBuilder::new("");
        let mut exceptions = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            builder.add_line(None, pattern)?;
            exceptions.extend(pattern.strip_prefix('!').map(str::to_owned));
        }
        Ok(Self { matcher: builder.build()?, exceptions })
    }

    /// Whether the path, relative to the project, is ignored.
    pub fn ignores(&self, path: &Path, is_directory: bool) -> bool {
        self.matcher.matched_path_or_any_parents(path, is_directory).is_ignore()
    }

    /// Whether an exception could match a file below an ignored directory.
    pub fn may_reach_below(&self, directory: &Path) -> bool {
        self.exceptions.iter().any(|exception| {
            let Some(rooted) = exception.strip_prefix('/') else { return true };
            let mut wanted = rooted.split('/');
            directory.components().all(|part| match wanted.next() {
                None => true,
                Some(name) if name.contains(['*', '?', '[', '\\']) => true,
                Some(name) => part.as_os_str() == name,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(patterns: &[&str], path: &str) -> bool {
        IgnorePatterns::new(patterns).unwrap().ignores(Path::new(path), false)
    }

    #[test]
    fn a_pattern_covers_the_files_below() {
        assert!(ignored(&["/api/node_modules"], "api/node_modules/x/y.js"));
        assert!(!ignored(&["/api/node_modules"], "api/sub/node_modules/x"));
        assert!(ignored(&["/api/**/node_modules"], "api/sub/node_modules/x"));
        assert!(ignored(&["/api/*.md"], "api/README.md"));
        assert!(!ignored(&["/api/*.md"], "api/docs/README.md"));
        assert!(!ignored(&["# dist", ""], "dist"));
    }

    #[test]
    fn the_last_match_wins() {
        let patterns = ["/api/*.md", "!/api/README.md"];
        assert!(!ignored(&patterns, "api/README.md"));
        assert!(ignored(&patterns, "api/OTHER.md"));
        assert!(ignored(&["!/api/README.md", "/api/*.md"], "api/README.md"));
        assert!(!ignored(&["/api/src", "!/api/src/keep"], "api/src/keep"));
    }

    #[test]
    fn only_directories_with_a_possible_exception_are_entered() {
        let patterns = IgnorePatterns::new(&["/api/*", "!/api/src/keep"]).unwrap();
        assert!(patterns.may_reach_below(Path::new("api/src")));
        assert!(!patterns.may_reach_below(Path::new("api/node_modules")));
    }
}
