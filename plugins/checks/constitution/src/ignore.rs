//! `.dockerignore`: what of a build context the builder never sees.

use globset::{GlobBuilder, GlobMatcher};

/// The patterns of a file, the last one that matches decides.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<(GlobMatcher, bool)>,
}

impl Ignore {
    /// Reads the file's text; a pattern that is none matches nothing.
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

    /// Whether a path, relative to the context, is left out: itself or with a folder above it.
    pub fn leaves_out(&self, path: &str) -> bool {
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
    fn the_last_pattern_that_matches_decides() {
        let ignore = Ignore::read("# only what is needed\n*\n!src\n**/*.pyc\n/src/.env\n");
        for out in ["tests/a.py", ".env", "src/a/b.pyc", "src/.env"] {
            assert!(ignore.leaves_out(out), "{out}");
        }
        for inside in ["src/main.py", "src/a/.env"] {
            assert!(!ignore.leaves_out(inside), "{inside}");
        }
        assert!(!Ignore::default().leaves_out(".env"));
        assert!(!Ignore::read("*.log").leaves_out("logs/a.log"));
    }
}
