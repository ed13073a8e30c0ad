//! The correction that an error suggests for an unknown name.

/// The most similar known name as a question; without a similar one, all known names.
pub fn suggestion(wrong: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + wrong.len() / 4);
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "expected no name here".to_owned(),
        None => format!("expected one of: {}", known.join(", ")),
    }
}
