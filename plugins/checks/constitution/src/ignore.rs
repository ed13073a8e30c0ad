//! `.dockerignore`: the files of a build context that are not sent to the builder.

use globset::{GlobBuilder, GlobMatcher};

/// The patterns of a `.dockerignore`. The last matching pattern decides.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<(GlobMatcher, bool)>,
}

impl Ignore {
    /// Parses the file's text. Invalid patterns are left out.
    pub fn read(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let patterns = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter_map(|line| {
                let (pattern, ignored) = match line.strip_prefix('!') {
                    Some(rest) => (rest.trim(), false),
                    None => (line, true),
                };
                let pattern = pattern.trim_start_matches("./").trim_matches('/');
                let glob = GlobBuilder::new(pattern).literal_separator(true).build().ok()?;
                Some((glob.compile_matcher(), ignored))
            })
            .collect();
        Self { patterns }
    }

    /// Whether a path relative to the context is ignored, by itself or through a parent directory.
    pub fn ignores(&self, path: &str) -> bool {
        let matches = |glob: &GlobMatcher| {
            let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
            folders.chain([path]).any(|part| glob.is_match(part))
        };
        self.patterns
            .iter()
            .rev()
            .find(|(glob, _)| matches(glob))
            .is_some_and(|(_, ignored)| *ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_matching_pattern_decides() {
        let ignore = Ignore::read("# only the sources\n*\n!src\n**/*.pyc\n/src/.env\n");
        for out in ["tests/a.py", ".env", "src/a/b.pyc", "src/.env"] {
            assert!(ignore.ignores(out), "{out}");
        }
        for inside in ["src/main.py", "src/a/.env"] {
            assert!(!ignore.ignores(inside), "{inside}");
        }
        assert!(!Ignore::default().ignores(".env"));
        assert!(!Ignore::read("*.log").ignores("logs/a.log"));
    }
}
