//! The classic builder's output: `Step 2/5 : RUN npm ci`, the step's own lines, and an error at the end.

use crate::transcript::Transcript;
use todohost_plugin::process::Source;

/// What a line means for the display: the step that begins, with its number and the number of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `[2/5] RUN npm ci`, as BuildKit names steps.
    pub name: String,
}

/// Takes a line; answers when a step begins.
pub fn line(source: Source, text: &str, transcript: &mut Transcript) -> Option<Step> {
    if let Some((counter, instruction)) =
        text.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "))
    {
        let name = format!("[{counter}] {instruction}");
        transcript.begin(&name);
        return Some(Step { name });
    }
    let trimmed = text.trim();
    if source == Source::Stderr && is_verdict(trimmed) {
        transcript.report(&format!("ERROR: {trimmed}"));
    } else if !is_chatter(source, text) {
        transcript.output(text);
    }
    None
}

/// The builder's own words between the lines of the steps, and the notice that it is an old one.
fn is_chatter(source: Source, text: &str) -> bool {
    const NOTICE_INDENT: &str = "            ";
    let line = text.trim();
    line.starts_with("--->")
        || line.starts_with("Removing intermediate container")
        || line.starts_with("Sending build context")
        || (source == Source::Stderr
            && (line.starts_with("DEPRECATED:") || text.starts_with(NOTICE_INDENT)))
}

fn is_verdict(line: &str) -> bool {
    line.contains("returned a non-zero code")
        || line.starts_with("Error response from daemon:")
        || line.starts_with("dockerfile parse error")
        || line.starts_with("COPY failed")
        || line.starts_with("ADD failed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::parse;

    #[test]
    fn a_failed_build_is_understood() {
        let mut transcript = Transcript::default();
        let out = [
            "Sending build context to Docker daemon  2.048kB",
            "Step 1/2 : FROM a:1",
            " ---> 0123456789ab",
            "Step 2/2 : RUN echo hello; exit 3",
            " ---> Running in 0123456789ab",
            "hello",
        ];
        let steps: Vec<_> =
            out.iter().filter_map(|text| line(Source::Stdout, text, &mut transcript)).collect();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[1].name, "[2/2] RUN echo hello; exit 3");
        for notice in [
            "DEPRECATED: The legacy builder is deprecated",
            "            BuildKit is currently disabled",
        ] {
            assert_eq!(line(Source::Stderr, notice, &mut transcript), None);
        }
        let last = "The command '/bin/sh -c echo hello; exit 3' returned a non-zero code: 3";
        line(Source::Stderr, last, &mut transcript);
        let error = transcript.into_error(
            "web",
            "Dockerfile",
            &parse("FROM a:1\n\nRUN echo hello; exit 3\n"),
        );
        assert_eq!(
            error.message,
            "image web does not build: RUN echo hello; exit 3 (Dockerfile line 3)"
        );
        assert_eq!(error.causes[0], last);
        assert_eq!(error.causes[1..], ["hello"]);
    }
}
