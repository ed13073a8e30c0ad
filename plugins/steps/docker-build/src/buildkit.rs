//! Parses BuildKit's progress (`--progress=rawjson`): JSON documents over several lines, and text after a failure.

use crate::transcript::Transcript;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

const DOCUMENT_LIMIT: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    vertexes: Option<Vec<Vertex>>,
    #[serde(default)]
    logs: Option<Vec<Log>>,
}

#[derive(Deserialize)]
struct Vertex {
    digest: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    started: Option<String>,
    #[serde(default)]
    completed: Option<String>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Log {
    data: Option<String>,
}

/// An update for the progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A step started.
    Step(String),
    /// A step of the Dockerfile ended.
    Done,
    /// A line of a step's output.
    Output(String),
}

/// Reads the stream line by line.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: String,
    steps: BTreeMap<String, Step>,
    partial: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Step {
    begun: bool,
    done: bool,
}

impl Reader {
    /// Parses the next line. If it completes a document, records it in the transcript and returns its updates.
    pub fn line(&mut self, line: &str, transcript: &mut Transcript) -> Vec<Update> {
        // Documents start in the first column; a new start ends a broken document.
        if line.starts_with('{') {
            self.give_up(transcript);
        } else if self.buffer.is_empty() {
            transcript.report(line);
            return Vec::new();
        }
        self.buffer.push_str(line);
        self.buffer.push('\n');
        if !line.ends_with('}')
            || (line.starts_with(char::is_whitespace) && self.buffer.len() < DOCUMENT_LIMIT)
        {
            return Vec::new();
        }
        match serde_json::from_str::<Document>(&self.buffer) {
            Ok(document) => {
                self.buffer.clear();
                self.document(document, transcript)
            }
            Err(error) if error.is_eof() && self.buffer.len() < DOCUMENT_LIMIT => Vec::new(),
            Err(_) => {
                self.give_up(transcript);
                Vec::new()
            }
        }
    }

    fn give_up(&mut self, transcript: &mut Transcript) {
        for line in std::mem::take(&mut self.buffer).lines() {
            transcript.report(line);
        }
    }

    fn document(&mut self, document: Document, transcript: &mut Transcript) -> Vec<Update> {
        let mut updates = Vec::new();
        for vertex in document.vertexes.unwrap_or_default() {
            let step = self.steps.entry(vertex.digest).or_default();
            let visible = !vertex.name.starts_with("[internal]");
            if vertex.started.is_some() && !step.begun {
                step.begun = true;
                transcript.begin(&vertex.name);
                if visible {
                    updates.push(Update::Step(vertex.name.clone()));
                }
            }
            if (vertex.completed.is_some() || vertex.cached) && !step.done {
                step.done = true;
                if visible {
                    updates.push(Update::Done);
                }
            }
            // A step cancelled because another one failed is not the failure.
            if let Some(error) = vertex.error.filter(|error| !error.is_empty())
                && !error.contains("context canceled")
            {
                transcript.fail(&vertex.name, &error);
            }
        }
        for log in document.logs.unwrap_or_default() {
            let data = log.data.and_then(|data| STANDARD.decode(data).ok()).unwrap_or_default();
            self.partial.push_str(&String::from_utf8_lossy(&data));
            while let Some(end) = self.partial.find('\n') {
                let line: String = self.partial.drain(..=end).collect();
                // Progress bars overwrite their line with `\r`; only the last text is kept.
                let line = line.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
                transcript.output(&line);
                updates.push(Update::Output(line));
            }
        }
        updates
    }

    /// Ends the stream: records an incomplete line as output and an incomplete document as text.
    pub fn finish(&mut self, transcript: &mut Transcript) {
        let partial = std::mem::take(&mut self.partial);
        transcript.output(&partial);
        self.give_up(transcript);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::parse;

    const FAILED: &str = r#"{
  "vertexes": [
    {
      "digest": "sha256:01",
      "name": "[internal] load build definition from Dockerfile",
      "started": "2026-02-01T10:00:00Z"
    }
  ]
}
{
  "vertexes": [
    {
      "digest": "sha256:02",
      "name": "[2/2] RUN echo hello; exit 3",
      "started": "2026-02-01T10:00:01Z"
    }
  ]
}
{
  "logs": [
    {
      "vertex": "sha256:02",
      "stream": 1,
      "data": "aGVsbG8K",
      "timestamp": "2026-02-01T10:00:02Z"
    }
  ]
}
{
  "vertexes": [
    {
      "digest": "sha256:02",
      "name": "[2/2] RUN echo hello; exit 3",
      "started": "2026-02-01T10:00:01Z",
      "completed": "2026-02-01T10:00:02Z",
      "error": "process \"/bin/sh -c echo hello; exit 3\" did not complete successfully: exit code: 3"
    }
  ]
}
Dockerfile:2
--------------------
   1 |     FROM a:1
   2 | >>> RUN echo hello; exit 3
--------------------
ERROR: failed to solve: process "/bin/sh -c echo hello; exit 3" did not complete successfully: exit code: 3
"#;

    #[test]
    fn failed_build_is_reported_with_instruction_and_output() {
        let (mut reader, mut transcript) = (Reader::default(), Transcript::default());
        let updates: Vec<_> =
            FAILED.lines().flat_map(|line| reader.line(line, &mut transcript)).collect();
        reader.finish(&mut transcript);
        let step = Update::Step("[2/2] RUN echo hello; exit 3".into());
        assert_eq!(updates, [step, Update::Output("hello".into()), Update::Done]);
        let error = transcript.into_error(
            "web",
            "Dockerfile",
            &parse("FROM a:1\nRUN echo hello; exit 3\n"),
        );
        assert_eq!(
            error.message,
            "image web failed to build: RUN echo hello; exit 3 (Dockerfile line 2)"
        );
        assert!(error.causes[0].ends_with("exit code: 3"));
        assert_eq!(error.causes[1], "hello");
    }

    #[test]
    fn single_line_documents_are_parsed() {
        let (mut reader, mut transcript) = (Reader::default(), Transcript::default());
        let line =
            r#"{"vertexes":[{"digest":"a","name":"[1/1] FROM a:1","cached":true,"started":"x"}]}"#;
        let updates = reader.line(line, &mut transcript);
        assert_eq!(updates, [Update::Step("[1/1] FROM a:1".into()), Update::Done]);
        assert!(reader.line(line, &mut transcript).is_empty(), "each step is reported once");
    }

    #[test]
    fn output_split_over_documents_is_joined() {
        let (mut reader, mut transcript) = (Reader::default(), Transcript::default());
        let log = |text: &str| {
            format!(r#"{{"logs":[{{"vertex":"a","data":"{}"}}]}}"#, STANDARD.encode(text))
        };
        assert!(reader.line(&log("10%\r"), &mut transcript).is_empty());
        let updates = reader.line(&log("100%\nnext"), &mut transcript);
        assert_eq!(updates, [Update::Output("100%".into())]);
        reader.finish(&mut transcript);
        assert_eq!(transcript.into_error("a", "b", &[]).causes, ["100%", "next"]);
    }

    #[test]
    fn broken_document_is_treated_as_text() {
        let (mut reader, mut transcript) = (Reader::default(), Transcript::default());
        for line in ["{", "  \"vertexes\": [", "{ nonsense }", "ERROR: it broke"] {
            reader.line(line, &mut transcript);
        }
        reader.finish(&mut transcript);
        assert_eq!(transcript.into_error("a", "b", &[]).causes, ["it broke"]);
    }
}
