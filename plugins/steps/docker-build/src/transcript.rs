//! Collects a builder's output as far as an error needs it: the current instruction and the last lines.

use crate::dockerfile::Instruction;
use std::collections::VecDeque;
use todohost_plugin::Error;

const KEPT: usize = 20;
const LINE_LIMIT: usize = 2_000;

/// The output of one build so far.
#[derive(Debug, Default)]
pub struct Transcript {
    output: VecDeque<String>,
    failed_step: Option<String>,
    current_step: Option<String>,
    reported_line: Option<usize>,
    error: Option<String>,
}

impl Transcript {
    /// Records the start of a step, by the builder's name for it: `[builder 2/5] RUN npm ci`.
    pub fn begin(&mut self, step: &str) {
        self.current_step = Some(step.to_owned());
    }

    /// Records the failure of a step with the builder's error message.
    pub fn fail(&mut self, step: &str, error: &str) {
        self.failed_step = Some(step.to_owned());
        self.error = Some(error.lines().next().unwrap_or_default().to_owned());
    }

    /// Records an output line of a step.
    pub fn output(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if self.output.len() == KEPT {
            self.output.pop_front();
        }
        self.output.push_back(line.chars().take(LINE_LIMIT).collect());
    }

    /// Records a line of the builder's report at the end of a failed build.
    pub fn report(&mut self, line: &str) {
        let line = line.trim();
        if let Some(error) = line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("error: ")) {
            self.error.get_or_insert_with(|| error.to_owned());
        } else if self.reported_line.is_none()
            && let Some((number, _)) = line.split_once(" | >>> ")
        {
            self.reported_line = number.trim().parse().ok();
        }
    }

    /// The error for the user.
    pub fn into_error(self, image: &str, dockerfile: &str, instructions: &[Instruction]) -> Error {
        let step = self.failed_step.or(self.current_step);
        let instruction = step.as_deref().and_then(|step| find(step, instructions));
        // The line number in the builder's report is exact; an instruction can occur twice in the file.
        let line = self.reported_line.or_else(|| instruction.map(|instruction| instruction.line));
        let at =
            line.and_then(|line| instructions.iter().rfind(|instruction| instruction.line <= line));
        let failed =
            at.or(instruction).map(Instruction::text).or_else(|| step.as_deref().map(plain_name));
        let place =
            line.map_or_else(|| dockerfile.to_owned(), |line| format!("{dockerfile} line {line}"));
        let message = match failed {
            Some(text) => format!("image {image} failed to build: {} ({place})", shorten(&text)),
            None => format!("image {image} failed to build ({place})"),
        };
        Error::invalid_input("docker-build.failed", message)
            .because(self.error)
            .because(self.output)
            .help(format!(
                "correct {place} or the files that it uses, and try again with `todohost build`"
            ))
    }
}

/// `[builder 2/5] RUN npm ci` without its counter.
fn plain_name(step: &str) -> String {
    let name = step
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(step, |(_, name)| name);
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn find<'a>(step: &str, instructions: &'a [Instruction]) -> Option<&'a Instruction> {
    let name = plain_name(step);
    let stage =
        step.strip_prefix('[').and_then(|rest| rest.split_once(' ')).map(|(stage, _)| stage);
    let mut current = "";
    let mut found = None;
    for instruction in instructions {
        if instruction.keyword == "FROM" {
            let words: Vec<_> = instruction.rest.split_whitespace().collect();
            let named = words.iter().position(|word| word.eq_ignore_ascii_case("as"));
            current = named.and_then(|at| words.get(at + 1)).copied().unwrap_or_default();
        }
        if instruction.text() == name {
            if stage == Some(current) {
                return Some(instruction);
            }
            found = found.or(Some(instruction));
        }
    }
    found
}

fn shorten(text: &str) -> String {
    const LIMIT: usize = 100;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let start: String = text.chars().take(LIMIT).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::parse;
    use todohost_plugin::ErrorKind;

    const FILE: &str = "FROM node:22-slim AS builder\nRUN true\nRUN npm   ci \\\n  --omit=dev\nFROM node:22-slim\nRUN true\n";

    #[test]
    fn failing_instruction_is_named_with_its_line() {
        let mut transcript = Transcript::default();
        transcript.begin("[builder 2/3] RUN true");
        transcript.fail("[builder 3/3] RUN npm   ci   --omit=dev", "exit code: 1\nmore");
        for line in 0..30 {
            transcript.output(&format!("line {line}  "));
        }
        let error = transcript.into_error("web", "frontend/Dockerfile", &parse(FILE));
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert_eq!(error.code, "docker-build.failed");
        assert_eq!(
            error.message,
            "image web failed to build: RUN npm ci --omit=dev (frontend/Dockerfile line 3)"
        );
        assert_eq!(error.causes.len(), 21);
        assert_eq!(error.causes[0], "exit code: 1");
        assert_eq!(error.causes[20], "line 29");
    }

    #[test]
    fn equal_instructions_are_distinguished_by_stage_and_line() {
        let mut transcript = Transcript::default();
        transcript.fail("[stage-1 2/2] RUN true", "no");
        transcript.report("   6 | >>> RUN true");
        transcript.report("   7 | >>> ");
        let error = transcript.into_error("web", "Dockerfile", &parse(FILE));
        assert!(error.message.ends_with("RUN true (Dockerfile line 6)"), "{}", error.message);

        let mut transcript = Transcript::default();
        transcript.fail("[builder 2/3] RUN true", "no");
        let error = transcript.into_error("web", "Dockerfile", &parse(FILE));
        assert!(error.message.ends_with("(Dockerfile line 2)"), "{}", error.message);
    }

    #[test]
    fn error_without_a_step_is_the_cause() {
        let mut transcript = Transcript::default();
        transcript.report(
            "ERROR: failed to solve: dockerfile parse error on line 1: unknown instruction: FORM",
        );
        let error = transcript.into_error("web", "Dockerfile", &[]);
        assert_eq!(error.message, "image web failed to build (Dockerfile)");
        assert_eq!(
            error.causes,
            ["failed to solve: dockerfile parse error on line 1: unknown instruction: FORM"]
        );
    }
}
