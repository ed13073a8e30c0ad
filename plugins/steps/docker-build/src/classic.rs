//! Parses the output of the classic builder: `Step 2/5 : RUN npm ci`, the output of the step, and an error at the end.

use crate::transcript::Transcript;
use todohost_plugin::process::Source;

/// A step that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name in BuildKit's form: `[2/5] RUN npm ci`.
    pub name: String,
}

/// Parses a line. Returns the step if the line starts one.
pub fn line(source: Source, text: &str, transcript: &mut Transcript) -> Option<Step> {
    if let Some((counter, instruction)) =
        text.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "))
    {
        let name = format!("[{counter}] {instruction}");
        transcript.begin(&name);
        return Some(Step { name });
    }
    let trimmed = text.trim();
    if source == Source::Stderr && is_error(trimmed) {
        transcript.report(&format!("ERROR: {trimmed}"));
    } else if !is_builder_line(source, text) {
        transcript.output(text);
    }
    None
}

/// Whether a line is written by the builder itself between the output of the steps, its deprecation notice included.
fn is_builder_line(source: Source, text: &str) -> bool {
    const NOTICE_INDENT: &str = "            ";
    let line = text.trim();
    line.starts_with("--->")
        || line.starts_with("Removing intermediate container")
        || line.starts_with("Sending build context")
        || (source == Source::Stderr
            && (line.starts_with("DEPRECATED:") || text.starts_with(NOTICE_INDENT)))
}

fn is_error(line: &str) -> bool {
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
    fn failed_build_is_reported_with_instruction_and_output() {
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
            "image web failed to build: RUN echo hello; exit 3 (Dockerfile line 3)"
        );
        assert_eq!(error.causes[0], last);
        assert_eq!(error.causes[1..], ["hello"]);
    }
}
