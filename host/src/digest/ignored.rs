//! Patterns of a build's ignore file, with the meaning that image builders give them: anchored at the
//! context, `*` stays in one directory, `**` does not, `!` takes back, the last match wins.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// A list of ignore patterns.
#[derive(Clone, Debug, Default)]
pub struct IgnorePatterns {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    matcher: GlobMatcher,
    takes_back: bool,
}

impl IgnorePatterns {
    /// Reads patterns; blank ones and comments mean nothing.
    ///
    /// # Errors
    /// For a pattern that is not a glob.
    pub fn new(patterns: &[impl AsRef<str>]) -> Result<Self, globset::Error> {
        let mut read = Vec::new();
        for pattern in patterns {
            let text = pattern.as_ref().trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (takes_back, text) =
                text.strip_prefix('!').map_or((false, text), |rest| (true, rest.trim()));
            let text = text.trim_start_matches("./").trim_matches('/');
            if text.is_empty() || text == "." {
                continue;
            }
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()?;
            read.push(Pattern { matcher: glob.compile_matcher(), takes_back });
        }
        Ok(Self { patterns: read })
    }

    /// Whether the path, relative to the context, is left out.
    pub fn ignores(&self, path: &Path) -> bool {
        self.patterns.iter().fold(false, |ignored, pattern| {
            // What matches a directory matches everything below it.
            let matches = path
                .ancestors()
                .filter(|ancestor| !ancestor.as_os_str().is_empty())
                .any(|ancestor| pattern.matcher.is_match(ancestor));
            if matches { !pattern.takes_back } else { ignored }
        })
    }

    /// Whether something below an ignored directory could still be taken back.
    pub fn may_reach_below(&self, directory: &Path) -> bool {
        let first = directory.components().next().map(|part| part.as_os_str().to_string_lossy());
        self.patterns.iter().filter(|pattern| pattern.takes_back).any(|pattern| {
            let head = pattern.matcher.glob().glob().split('/').next().unwrap_or_default();
            head.contains(['*', '?', '[', '{']) || first.as_deref() == Some(head)
        }) || !self.ignores(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(patterns: &[&str], path: &str) -> bool {
        IgnorePatterns::new(patterns).unwrap().ignores(Path::new(path))
    }

    #[test]
    fn patterns_are_anchored_and_cover_what_is_below() {
        assert!(ignored(&["node_modules"], "node_modules/x/y.js"));
        assert!(!ignored(&["node_modules"], "sub/node_modules/x"));
        assert!(ignored(&["**/node_modules"], "sub/node_modules/x"));
        assert!(ignored(&["*.md"], "README.md"));
        assert!(!ignored(&["*.md"], "docs/README.md"));
        assert!(ignored(&["/dist/"], "dist/main.js"));
        assert!(!ignored(&["# dist", ""], "dist"));
    }

    #[test]
    fn the_last_match_wins() {
        let patterns = ["*.md", "!README.md"];
        assert!(!ignored(&patterns, "README.md"));
        assert!(ignored(&patterns, "OTHER.md"));
        assert!(ignored(&["!README.md", "*.md"], "README.md"));
    }

    #[test]
    fn only_directories_that_may_hold_an_exception_are_entered() {
        let patterns = IgnorePatterns::new(&["*", "!src/keep"]).unwrap();
        assert!(patterns.may_reach_below(Path::new("src")));
        assert!(!patterns.may_reach_below(Path::new("node_modules")));
    }
}
