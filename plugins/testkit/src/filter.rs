//! Filters for snapshots: replace values that differ from run to run.
//!
//! A filter is a pair of a regular expression and its replacement. Filters are applied in order.

use std::path::Path;

/// Filters for times, addresses, ids and digests.
pub fn general() -> Vec<(String, &'static str)> {
    [
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "[time]"),
        (r"\b\d+(\.\d+)?\s?(ms|µs|ns|s)\b", "[duration]"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[uid]"),
        (r"\bsha256:[0-9a-f]{12,64}", "[digest]"),
        (r"\b[0-9a-f]{64}\b", "[digest]"),
        (r":[0-9a-f]{12}\b", ":[tag]"),
        (r"[ \t]+\n", "\n"),
    ]
    .into_iter()
    .map(|(pattern, word)| (pattern.to_owned(), word))
    .collect()
}

/// Filters that replace these folders by words, then [`general`].
pub fn with_folders(folders: &[(&Path, &'static str)]) -> Vec<(String, &'static str)> {
    let mut filters: Vec<(String, &'static str)> = folders
        .iter()
        .map(|(folder, word)| (escaped(&folder.display().to_string()), *word))
        .collect();
    filters.extend(general());
    filters
}

fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if !letter.is_alphanumeric() && !"/_-".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}
