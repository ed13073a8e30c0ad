//! Locates the line of a chart that uses a value, for findings. Reads templates as text and does not evaluate them.

use std::path::{Component, Path};

/// Longer templates are not searched, in bytes.
const LONGEST: u64 = 1 << 20;

/// The file, and the line that names the value or else the field that it went to: `chart/templates/web.yaml:14`.
/// `source` begins with the chart's name, as Helm's does, and the rest is below the folder `chart` of the project.
pub(super) fn place(
    root: &Path,
    chart: &str,
    source: &str,
    value: Option<&str>,
    field: &str,
) -> String {
    let Some((_, below)) = source.split_once('/') else { return source.to_owned() };
    // The renderer names the source, so it must not lead out of the chart.
    if !Path::new(below).components().all(|part| matches!(part, Component::Normal(_))) {
        return source.to_owned();
    }
    let file = format!("{chart}/{below}");
    let path = root.join(&file);
    let is_short =
        fs_err::metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
    let text =
        if is_short { fs_err::read_to_string(&path).unwrap_or_default() } else { String::new() };
    match line(&text, value, field) {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

fn line(text: &str, value: Option<&str>, field: &str) -> Option<usize> {
    let mut wanted = Vec::new();
    let mut rest = value;
    // Within a subchart the path of a value lacks the subchart's name.
    while let Some(path) = rest {
        wanted.push(format!(".Values.{path}"));
        rest = path.split_once('.').map(|(_, below)| below);
    }
    wanted.push(format!("{field}:"));
    wanted.push(field.to_owned());
    wanted
        .iter()
        .filter(|words| !words.is_empty() && *words != ":")
        .find_map(|words| text.lines().position(|line| names(line, words)).map(|index| index + 1))
}

/// Whether the line has `words` as a whole, rather than as part of a longer name.
fn names(line: &str, words: &str) -> bool {
    let in_name = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(words).any(|(from, _)| {
        let before = line[..from].chars().next_back();
        let after = line[from + words.len()..].chars().next();
        let goes_on = before.is_some_and(in_name) && words.starts_with(in_name)
            || after.is_some_and(in_name) && words.ends_with(in_name);
        !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "kind: Secret\ndata:\n  OTHER: {{ .Values.secrets.databaseUrlOld }}\n  \
        DATABASE_URL: {{ .Values.secrets.databaseUrl | upper }}\n  KEY: {{ include \"key\" . }}\n";

    #[test]
    fn a_line_with_the_value_wins_over_a_line_with_the_field() {
        assert_eq!(line(TEMPLATE, Some("secrets.databaseUrl"), "OTHER"), Some(4));
        assert_eq!(line(TEMPLATE, Some("part.secrets.databaseUrl"), "OTHER"), Some(4));
        assert_eq!(line(TEMPLATE, Some("secrets.key"), "KEY"), Some(5));
        assert_eq!(line(TEMPLATE, None, "data"), Some(2));
        assert_eq!(line(TEMPLATE, None, "DATABASE"), None);
        assert_eq!(line(TEMPLATE, None, ""), None);
    }

    #[test]
    fn a_source_outside_of_the_chart_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("chart")).unwrap();
        std::fs::write(folder.path().join("secret.yaml"), TEMPLATE).unwrap();
        let found = |source| place(folder.path(), "chart", source, None, "data");
        assert_eq!(found("web/../secret.yaml"), "web/../secret.yaml");
        assert_eq!(found("web//etc/passwd"), "web//etc/passwd");
        assert_eq!(found("web/templates/none.yaml"), "chart/templates/none.yaml");
    }
}
