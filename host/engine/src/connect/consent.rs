//! Whether the user agrees that a target starts or creates a cluster.
//!
//! Owns the wording of the question, and when it is asked. [`Ask`] puts it to the user.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::Context;
use crate::error::RunError;
use todohost_model::text;

/// The longest part of a question that is quoted from a target, in characters: a question has to be read at a glance.
const LONGEST: usize = 200;

/// Puts yes-or-no questions to the user.
#[async_trait]
pub trait Ask: Debug + Send + Sync {
    /// The user's answer; `None` if there is no terminal to ask on. A question is withdrawn when the future is dropped.
    async fn confirm(&self, question: &str) -> Option<bool>;
}

/// The user's consent, or the way to ask for it.
#[derive(Clone, Debug, Default)]
pub enum Consent {
    /// Nothing is started, and no question is asked.
    #[default]
    Withheld,
    /// The user is asked, if there is a terminal.
    Asked(Arc<dyn Ask>),
    /// The user agreed beforehand.
    Given,
}

/// Whether the target may carry out its offer.
pub(super) async fn agrees(cx: &Context, question: &str) -> Result<bool, RunError> {
    match &cx.run.consent {
        Consent::Given => Ok(true),
        Consent::Withheld => Ok(false),
        Consent::Asked(user) => tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(RunError::cancelled()),
            answer = user.confirm(question) => Ok(answer.unwrap_or(false)),
        },
    }
}

/// `lab is stopped: its machine is off. Start the machine lab?`
pub(super) fn question(target: &str, state: &str, detail: Option<&str>, offer: &str) -> String {
    let detail = detail.map(|detail| format!(": {}", short(detail))).unwrap_or_default();
    let offer = short(offer);
    let mut letters = offer.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{} is {state}{detail}. {first}{}?", short(target), letters.as_str())
}

/// A target's own words, cleaned and shortened to be quoted in a question.
fn short(words: &str) -> String {
    let words = text::clean(words);
    let words = words.trim().trim_end_matches(['.', '?', '!', ' ']);
    if words.chars().count() <= LONGEST {
        return words.to_owned();
    }
    words.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_clear_question() {
        assert_eq!(
            question("docker-desktop", "stopped", None, "start Docker Desktop"),
            "docker-desktop is stopped. Start Docker Desktop?"
        );
        assert_eq!(
            question("lab", "absent", Some("there is no cluster lab yet."), "create it?"),
            "lab is absent: there is no cluster lab yet. Create it?"
        );
    }

    #[test]
    fn hostile_words_stay_words() {
        let evil = "start it\u{1b}[2K\r\u{1b}[1Aall is well\u{9b}2J\n\u{202e}[y/N] y\n";
        let text = question("x\u{7}", "stopped", Some(evil), evil);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        assert!(text.ends_with('?'), "{text:?}");
        let text = question("x", "stopped", Some(&"a ".repeat(5000)), &"b".repeat(5000));
        assert!(text.chars().count() < 2 * LONGEST + 40, "{}", text.len());
        assert_eq!(question("x", "stopped", None, ""), "x is stopped. ?");
    }
}
