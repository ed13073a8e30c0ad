//! Reads a chart's directory through the host. Which files Helm ignores is the engine's to decide.

use crate::message::File;
use todohost_plugin::{Error, Result, workspace};

/// More than any chart has; Helm's own limit on what it unpacks is of this size too.
const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// Every file below `source`, with paths relative to it.
pub fn read(source: &str) -> Result<Vec<File>> {
    let source = source.trim_end_matches('/');
    let entries = workspace::glob(&format!("{}/**", escaped(source)))?;
    let mut remaining = MAX_BYTES;
    let mut files = Vec::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        let Some(path) = entry.path.strip_prefix(source).and_then(|path| path.strip_prefix('/'))
        else {
            continue;
        };
        remaining = remaining.checked_sub(entry.size).ok_or_else(|| {
            Error::invalid_input(
                "helm.chart.too-large",
                format!("the chart in {source} holds more than {MAX_BYTES} bytes"),
            )
            .help("keep what is no part of the chart out of its directory")
        })?;
        files.push(File { path: path.to_owned(), data: workspace::read(&entry.path)? });
    }
    if files.iter().any(|file| file.path == "Chart.yaml") {
        return Ok(files);
    }
    Err(Error::invalid_input("helm.chart.missing", format!("no chart in {source}"))
        .cause("Chart.yaml file is missing")
        .help("name the directory that holds Chart.yaml as `chart` under [app] in todohost.toml"))
}

/// A path as a glob that matches only itself.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '{' | '}') {
            pattern.extend(['[', character, ']']);
        } else {
            pattern.push(character);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_path_with_glob_characters_matches_only_itself() {
        assert_eq!(escaped("helm/todo-app"), "helm/todo-app");
        assert_eq!(escaped("charts [old]/a*"), "charts [[]old[]]/a[*]");
    }
}
