//! House rules that a program can check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Products that only plugins may know (invariant I1).
const PRODUCTS: [&str; 11] = [
    "docker",
    "minikube",
    "k3s",
    "k3d",
    "podman",
    "containerd",
    "buildkit",
    "kustomize",
    "kind cluster",
    "kind load",
    "rancher",
];

/// The sources of every crate of the host, without its tests against clusters and its benches.
fn host_sources() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(todohost_tests::workspace().join("host")).unwrap();
    crates.flat_map(|folder| sources(&folder.unwrap().path().join("src"))).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_host_names_no_product() {
    let mut named = Vec::new();
    let files = host_sources();
    // Tests can use a product's name as an example; shipped code must not.
    for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in (1..).zip(shipped.lines()) {
            let line = line.to_lowercase();
            // `dockerfile` is the project's key for the build file, and every builder uses that name.
            let line = line.replace("dockerfile", "").replace(".dockerignore", "");
            if PRODUCTS.iter().any(|product| line.contains(product)) {
                named.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn only_one_module_reads_environment_variables() {
    let readers: Vec<PathBuf> = host_sources()
        .into_iter()
        .filter(|path| !path.ends_with("environment.rs"))
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.contains("env::var(")
                || text.contains("env::var_os(")
                || text.contains("env::vars")
        })
        .collect();
    assert_eq!(readers, Vec::<PathBuf>::new());
}

/// The target directory is shared by checkouts, so a path from compile time may lead into another one.
#[test]
fn no_program_keeps_the_path_of_its_checkout() {
    let here = todohost_tests::workspace();
    let files = ["host", "plugins", "tests", "xtask"].map(|folder| sources(&here.join(folder)));
    let of_checkout = concat!("env!(\"CARGO_", "MANIFEST_DIR\")");
    let keepers: Vec<PathBuf> = files
        .into_iter()
        .flatten()
        // The macro reads a file at compile time and keeps its content.
        .filter(|path| !path.ends_with("sdk/src/export.rs"))
        .filter(|path| std::fs::read_to_string(path).unwrap().contains(of_checkout))
        .collect();
    assert_eq!(keepers, Vec::<PathBuf>::new());
}

/// Every text between `before` and `after` on one line.
fn between<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    let parts = text.lines().flat_map(|line| line.split(before).skip(1));
    parts.filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

/// Source files without their tests, in one text.
fn shipped(files: &[PathBuf]) -> String {
    let files = files.iter().filter(|path| !path.ends_with("tests.rs"));
    files.fold(String::new(), |text, path| {
        let file = std::fs::read_to_string(path).unwrap();
        text + file.split("#[cfg(test)]").next().unwrap_or_default()
    })
}

/// The page that explains errors to users.
fn troubleshooting() -> String {
    std::fs::read_to_string(todohost_tests::workspace().join("docs/troubleshooting.md")).unwrap()
}

/// Prefixes of the error codes that the host returns to plugins.
const OF_THE_HOST: &str = "todohost.";

/// The codes that are explained by a table row.
fn table_codes(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0))
}

#[test]
fn documented_error_codes_equal_raised_ones() {
    let host = shipped(&host_sources());
    let raised: BTreeSet<&str> = between(&host, "code(todohost::", ')').into_iter().collect();
    assert!(raised.contains("cluster::unreachable"), "this test no longer finds the codes");
    let document = troubleshooting();
    let sections: Vec<(&str, &str)> = document
        .split("\n#")
        .filter_map(|section| section.strip_prefix("## `todohost::")?.split_once("`\n"))
        .collect();
    let explained: BTreeSet<&str> = sections.iter().map(|(code, _)| *code).collect();
    let missing: Vec<&&str> = raised.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md has no section for {missing:?}");
    assert_eq!(sections.len(), explained.len(), "a code has two sections");
    for code in between(&document, "`todohost::", '`') {
        assert!(raised.contains(code), "docs/troubleshooting.md: no error has the code {code}");
    }
    for (code, text) in sections {
        assert_whole(code, text);
    }
}

/// Every section has these three parts.
fn assert_whole(title: &str, text: &str) {
    for part in ["*Shown:* ", "*Why:* ", "*Do:* "] {
        assert!(text.contains(part), "docs/troubleshooting.md: {title} lacks {part}");
    }
}

#[test]
fn usual_troubles_are_explained() {
    let document = troubleshooting();
    let (_, chapter) = document.split_once("\n## The four usual troubles\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let sections: Vec<&str> = chapter.split("\n### ").skip(1).collect();
    assert_eq!(sections.len(), 4);
    for section in sections {
        assert_whole(section.lines().next().unwrap_or_default(), section);
    }
}

#[test]
fn documented_plugin_error_codes_equal_returned_ones() {
    let host = shipped(&host_sources());
    // Skip other quoted texts: the project file, placeholders, and sentences.
    let is_code = |code: &&str| {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-';
        *code != "toml" && code.bytes().all(is_part)
    };
    let raised: BTreeSet<&str> =
        between(&host, "\"todohost.", '"').into_iter().filter(is_code).collect();
    assert!(raised.contains("process.not-found"), "this test no longer finds the codes");
    let document = troubleshooting();
    let rows: Vec<&str> =
        table_codes(&document).filter_map(|code| code.strip_prefix(OF_THE_HOST)).collect();
    let explained: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(explained, raised, "docs/troubleshooting.md and host/ differ");
    assert_eq!(rows.len(), explained.len(), "a code has two rows");
}

#[test]
fn documented_exit_codes_equal_used_ones() {
    let file = todohost_tests::workspace().join("host/model/src/exit.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let numbers = between(&text, " = ", ',').into_iter().filter_map(|number| number.parse().ok());
    let given: BTreeSet<u8> = numbers.collect();
    assert!(given.contains(&130), "this test no longer finds the exit codes");
    let document = troubleshooting();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let explained: BTreeSet<u8> = rows.filter_map(|(number, _)| number.parse().ok()).collect();
    assert_eq!(explained, given, "docs/troubleshooting.md and host/model/src/exit.rs differ");
}

#[test]
fn documented_finding_codes_exist_in_a_plugin() {
    let plugins = shipped(&sources(&todohost_tests::workspace().join("plugins")));
    let document = troubleshooting();
    let codes: Vec<&str> =
        table_codes(&document).filter(|code| !code.starts_with(OF_THE_HOST)).collect();
    assert!(!codes.is_empty(), "this test no longer finds the codes");
    for code in codes {
        let is_there = plugins.contains(&format!("\"{code}\""));
        assert!(is_there, "docs/troubleshooting.md: no plugin has the code {code}");
    }
}
