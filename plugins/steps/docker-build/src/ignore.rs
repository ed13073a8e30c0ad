//! Converts a `.dockerignore` to patterns relative to the project in the syntax of `.gitignore`, for the host's digest.

/// The patterns of a `.dockerignore`. The Dockerfile stays an input even if it is ignored.
pub fn patterns(text: &str, context: &str, dockerfile: &str) -> Vec<String> {
    let mut patterns: Vec<_> = text.lines().filter_map(|line| pattern(line, context)).collect();
    if !patterns.is_empty() {
        patterns.push(format!("!/{}", escape(dockerfile)));
    }
    patterns
}

/// Docker roots each pattern at the context, so a name without a slash matches only directly in the context.
fn pattern(line: &str, context: &str) -> Option<String> {
    let line = line.trim_start_matches('\u{feff}').trim_end();
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (negation, path) = match line.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", line),
    };
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || parts.contains(&"..") {
        return None;
    }
    let path = parts.join("/");
    Some(match clean(context).as_str() {
        "" => format!("{negation}/{path}"),
        context => format!("{negation}/{}/{path}", escape(context)),
    })
}

/// A project path without `./`, doubled slashes or a slash at its end; empty for the project itself.
pub fn clean(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

/// Joins a path to a directory of the project.
pub fn join(folder: &str, path: &str) -> String {
    clean(&format!("{folder}/{path}"))
}

/// Escapes a path, so that as a pattern it matches only itself.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_rooted_at_the_context() {
        let text =
            "# comment\n\nnode_modules\n./dist/\n/.next\n**/*.pyc\n!keep/me\n../outside\n.\n";
        assert_eq!(
            patterns(text, "./frontend/", "frontend/Dockerfile"),
            [
                "/frontend/node_modules",
                "/frontend/dist",
                "/frontend/.next",
                "/frontend/**/*.pyc",
                "!/frontend/keep/me",
                "!/frontend/Dockerfile",
            ]
        );
        assert_eq!(patterns("a\n", ".", "Dockerfile"), ["/a", "!/Dockerfile"]);
        assert!(patterns("\n# nothing\n", "backend", "backend/Dockerfile").is_empty());
    }

    #[test]
    fn special_characters_of_the_context_are_escaped() {
        assert_eq!(patterns("x", "we[i]rd", "d")[0], "/we\\[i\\]rd/x");
    }

    #[test]
    fn joined_paths_are_normalised() {
        assert_eq!(join("./backend/", "Dockerfile"), "backend/Dockerfile");
        assert_eq!(join(".", "./a//b"), "a/b");
        assert_eq!(clean("."), "");
    }
}
