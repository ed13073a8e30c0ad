//! Label and field selectors.
//!
//! Owns which objects a selector matches. Reading the objects is the task of `store`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Label and field selectors of a list or watch.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    labels: Vec<String>,
    fields: Vec<String>,
}

impl Selection {
    pub(super) fn of(query: &BTreeMap<String, String>) -> Self {
        let terms = |name: &str| {
            let text = query.get(name).map(String::as_str).unwrap_or_default();
            // A comma inside `in (a,b)` does not end a term.
            let mut terms = Vec::new();
            let (mut depth, mut term) = (0, String::new());
            for letter in text.chars() {
                match letter {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    ',' if depth == 0 => {
                        terms.push(std::mem::take(&mut term));
                        continue;
                    }
                    _ => {}
                }
                term.push(letter);
            }
            terms.push(term);
            terms.retain(|term| !term.trim().is_empty());
            terms
        };
        Self { labels: terms("labelSelector"), fields: terms("fieldSelector") }
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str();
        let labels = self.labels.iter().all(|term| {
            let term = term.trim();
            if let Some((name, set)) = term.split_once(" in ") {
                let set = set.trim().trim_matches(['(', ')']);
                return set.split(',').any(|value| label(name.trim()) == Some(value.trim()));
            }
            if let Some((name, value)) = term.split_once("!=") {
                return label(name) != Some(value);
            }
            if let Some((name, value)) = term.split_once('=') {
                return label(name) == Some(value.trim_start_matches('='));
            }
            match term.strip_prefix('!') {
                Some(name) => label(name).is_none(),
                None => label(term).is_some(),
            }
        });
        let fields = self.fields.iter().all(|term| {
            let field = |path: &str| {
                path.split('.')
                    .fold(object, |place, name| &place[name])
                    .as_str()
                    .unwrap_or_default()
            };
            match term.split_once("!=") {
                Some((path, value)) => field(path) != value,
                None => term
                    .split_once('=')
                    .is_some_and(|(path, value)| field(path) == value.trim_start_matches('=')),
            }
        });
        labels && fields
    }
}
