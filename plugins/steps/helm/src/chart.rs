//! Reads a chart's directory through the host. The engine applies `.helmignore`.

use crate::message::File;
use todohost_plugin::{Error, Result, workspace};

/// Size limit of a chart, the same as Helm's own limit for unpacked charts.
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
                format!("the chart in {source} is larger than {MAX_BYTES} bytes"),
            )
            .help("remove files that are not part of the chart from its directory")
        })?;
        files.push(File { path: path.to_owned(), data: workspace::read(&entry.path)? });
    }
    if files.iter().any(|file| file.path == "Chart.yaml") {
        return Ok(files);
    }
    Err(Error::invalid_input("helm.chart.missing", format!("no chart in {source}"))
        .cause("Chart.yaml file is missing")
        .help("set `chart` under [app] in todohost.toml to the directory with Chart.yaml"))
}

/// Escapes a path, so that as a glob it matches only itself.
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
    fn glob_characters_in_paths_are_escaped() {
        assert_eq!(escaped("helm/todo-app"), "helm/todo-app");
        assert_eq!(escaped("charts [old]/a*"), "charts [[]old[]]/a[*]");
    }
}
