//! Parses a Dockerfile for its base images and the line numbers of its instructions.
//!
//! Syntax errors are ignored here, since the builder reports them.

use crate::expand::expand;
use std::collections::BTreeMap;

/// One instruction, with its continuation lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Number of its first line, counted from 1.
    pub line: usize,
    /// Its first word in upper case.
    pub keyword: String,
    /// The text after the first word.
    pub rest: String,
}

impl Instruction {
    /// The instruction on one line with single blanks, comparable with the output of builders.
    pub fn text(&self) -> String {
        let words: Vec<_> = self.rest.split_whitespace().collect();
        format!("{} {}", self.keyword, words.join(" "))
    }
}

/// An image that the build uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its reference, with arguments expanded.
    pub reference: String,
    /// The platform that the instruction asks for.
    pub platform: Option<String>,
}

/// An instruction with a base that uses an argument without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub line: usize,
    pub text: String,
}

/// Parses the instructions of a Dockerfile. Heredocs and comments are left out.
pub fn parse(text: &str) -> Vec<Instruction> {
    let escape = escape_character(text);
    let mut instructions = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut joined = match strip(line) {
            Some(line) => line.to_owned(),
            None => continue,
        };
        while joined.ends_with(escape) {
            joined.pop();
            // Comments and blank lines inside a continued instruction do not end it.
            match lines.by_ref().find_map(|(_, line)| strip(line)) {
                Some(next) => {
                    joined.push(' ');
                    joined.push_str(next);
                }
                None => break,
            }
        }
        let (keyword, rest) = joined.split_once(char::is_whitespace).unwrap_or((&joined, ""));
        let keyword = keyword.to_ascii_uppercase();
        if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
            for delimiter in heredocs(rest) {
                let ends = |line: &str| line.trim_start_matches('\t') == delimiter;
                lines.by_ref().find(|(_, line)| ends(line));
            }
        }
        instructions.push(Instruction { line: number + 1, keyword, rest: rest.trim().to_owned() });
    }
    instructions
}

fn strip(line: &str) -> Option<&str> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then_some(line)
}

/// The escape character, from a directive at the start of the file. Files with Windows paths use a backtick.
fn escape_character(text: &str) -> char {
    let comments = text.lines().map(str::trim).take_while(|line| line.starts_with('#'));
    for directive in comments {
        if let Some((key, value)) = directive[1..].split_once('=')
            && key.trim().eq_ignore_ascii_case("escape")
        {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

/// The delimiters of `<<EOF`, `<<-EOF`, `<<"EOF"`, in order.
fn heredocs(rest: &str) -> Vec<String> {
    let words = rest.split_whitespace().filter_map(|word| {
        // `3<<EOF` starts with a file descriptor. `<<<` is a here-string of the shell.
        let start = word.trim_start_matches(|character: char| character.is_ascii_digit());
        let name = start.strip_prefix("<<")?;
        if name.starts_with('<') {
            return None;
        }
        let name = name.strip_prefix('-').unwrap_or(name);
        let name: String = name.trim_matches(['"', '\'']).to_owned();
        let plain = name.chars().all(|character| character.is_alphanumeric() || character == '_');
        (plain && !name.is_empty()).then_some(name)
    });
    words.collect()
}

/// The images that the build uses, without duplicates, in the order of the file. Stages after `stage` are ignored.
///
/// `arguments` are those of the project and the platform arguments of every build (`TARGETPLATFORM` and so on).
///
/// # Errors
/// If a base uses an argument without a value.
pub fn bases(
    instructions: &[Instruction],
    stage: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Result<Vec<Base>, Unresolved> {
    let mut known = arguments.clone();
    let mut stages: Vec<String> = Vec::new();
    let mut bases: Vec<Base> = Vec::new();
    for instruction in instructions {
        let resolve = |text: &str| {
            let text = expand(text, &known);
            let text = text.filter(|text| !text.is_empty());
            text.ok_or_else(|| Unresolved { line: instruction.line, text: instruction.text() })
        };
        match instruction.keyword.as_str() {
            // FROM can use only arguments declared before the first FROM.
            "ARG" if stages.is_empty() => declare(&instruction.rest, arguments, &mut known),
            "FROM" => {
                if stages.last().is_some_and(|last| is_wanted(stage, last, stages.len() - 1)) {
                    break;
                }
                let mut platform = None;
                let mut words = instruction.rest.split_whitespace().peekable();
                while let Some(flag) = words.next_if(|word| word.starts_with("--")) {
                    if let Some(value) = flag.strip_prefix("--platform=") {
                        platform = Some(resolve(value)?);
                    }
                }
                let Some(name) = words.next() else { continue };
                let reference = resolve(name)?;
                let is_stage = stages.iter().any(|stage| stage.eq_ignore_ascii_case(&reference));
                if !is_stage && reference != "scratch" {
                    add(&mut bases, Base { reference, platform });
                }
                let named = words.next().is_some_and(|word| word.eq_ignore_ascii_case("as"));
                stages.push(if named {
                    words.next().unwrap_or_default().to_owned()
                } else {
                    String::new()
                });
            }
            "COPY" | "RUN" | "ADD" => {
                for source in sources(&instruction.rest) {
                    let is_stage = source.parse::<usize>().is_ok()
                        || stages.iter().any(|stage| stage.eq_ignore_ascii_case(source));
                    // Builders do not expand variables here.
                    if !is_stage && !source.contains('$') && source != "scratch" {
                        add(&mut bases, Base { reference: source.to_owned(), platform: None });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(bases)
}

fn is_wanted(wanted: Option<&str>, name: &str, index: usize) -> bool {
    wanted.is_some_and(|wanted| {
        (!name.is_empty() && wanted.eq_ignore_ascii_case(name)) || wanted.parse() == Ok(index)
    })
}

fn add(bases: &mut Vec<Base>, base: Base) {
    if !bases.contains(&base) {
        bases.push(base);
    }
}

/// Declares the defaults of `ARG A=1 B`. A given argument overrides its default.
fn declare(rest: &str, given: &BTreeMap<String, String>, known: &mut BTreeMap<String, String>) {
    for word in rest.split_whitespace() {
        if let Some((name, default)) = word.split_once('=')
            && !given.contains_key(name)
            && let Some(value) = expand(default.trim_matches(['"', '\'']), known)
        {
            known.insert(name.to_owned(), value);
        }
    }
}

/// The images and stages in `--from=X` and `--mount=...,from=X`.
fn sources(rest: &str) -> Vec<&str> {
    let flags = rest.split_whitespace().take_while(|word| word.starts_with("--"));
    flags
        .filter_map(|flag| {
            flag.strip_prefix("--from=").or_else(|| {
                let options = flag.strip_prefix("--mount=")?;
                options.split(',').find_map(|option| option.strip_prefix("from="))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn references(text: &str, stage: Option<&str>, arguments: &[(&str, &str)]) -> Vec<String> {
        let bases = bases(&parse(text), stage, &given(arguments)).unwrap();
        bases.into_iter().map(|base| base.reference).collect()
    }

    #[test]
    fn shared_base_of_two_stages_is_listed_once() {
        let text = "FROM python:3.13-slim-bookworm AS builder\nRUN pip install uv\n\
                    FROM python:3.13-slim-bookworm\nCOPY --from=builder /app /app\n";
        assert_eq!(references(text, None, &[]), ["python:3.13-slim-bookworm"]);
    }

    #[test]
    fn stages_are_not_bases() {
        let text = "FROM node:22-slim AS Deps\nFROM deps AS build\nFROM scratch\nCOPY --from=0 /a /a\n\
                    COPY --from=build --chown=1:1 /b /b\nCOPY --from=busybox:1 /c /c\n\
                    RUN --mount=type=bind,from=alpine:3,source=/x,target=/x true\n";
        assert_eq!(references(text, None, &[]), ["node:22-slim", "busybox:1", "alpine:3"]);
    }

    #[test]
    fn arguments_before_the_first_from_are_expanded_in_bases() {
        let text = "ARG VERSION=22\nARG FLAVOUR=\"slim\"\nARG BASE=node:${VERSION}-${FLAVOUR}\nFROM ${BASE}\n\
                    ARG VERSION=1\nFROM redis:$VERSION\nFROM x:${NONE:-7}\n";
        assert_eq!(references(text, None, &[]), ["node:22-slim", "redis:22", "x:7"]);
        assert_eq!(references(text, None, &[("VERSION", "24")])[0], "node:24-slim");
    }

    #[test]
    fn argument_without_a_value_is_an_error_with_its_line() {
        let unresolved = bases(&parse("\nARG BASE\nFROM $BASE\n"), None, &given(&[])).unwrap_err();
        assert_eq!(unresolved, Unresolved { line: 3, text: "FROM $BASE".into() });
    }

    #[test]
    fn stages_after_the_built_one_are_ignored() {
        let text = "FROM a:1 AS one\nFROM b:1 AS two\nFROM c:1\n";
        assert_eq!(references(text, Some("TWO"), &[]), ["a:1", "b:1"]);
        assert_eq!(references(text, Some("0"), &[]), ["a:1"]);
        assert_eq!(references(text, None, &[]).len(), 3);
    }

    #[test]
    fn platform_flag_applies_to_its_base() {
        let text = "FROM --platform=$BUILDPLATFORM golang:1 AS build\nFROM alpine:3\n";
        let bases = bases(&parse(text), None, &given(&[("BUILDPLATFORM", "linux/arm64")])).unwrap();
        assert_eq!(bases[0].platform.as_deref(), Some("linux/arm64"));
        assert_eq!(bases[1].platform, None);
    }

    #[test]
    fn heredocs_comments_and_continuations_are_parsed() {
        let text = "# syntax=docker/dockerfile:1\nFROM a:1\nRUN <<EOF\nFROM not:1\nEOF\nRUN echo \\\n  # a comment\n\n  \
                    FROM not:2\nCOPY <<-\"A\" <<B /x/\nFROM not:3\n\tA\nFROM not:4\nB\nFROM b:1\n";
        let instructions = parse(text);
        let places: Vec<_> = instructions
            .iter()
            .map(|instruction| (instruction.line, instruction.keyword.as_str()))
            .collect();
        assert_eq!(places, [(2, "FROM"), (3, "RUN"), (6, "RUN"), (10, "COPY"), (15, "FROM")]);
        assert_eq!(instructions[2].text(), "RUN echo FROM not:2");
        assert_eq!(references(text, None, &[]), ["a:1", "b:1"]);
    }

    #[test]
    fn escape_directive_changes_the_escape_character() {
        let instructions = parse("# escape=`\r\nFROM a:1\r\nRUN dir C:\\ `\r\n  D:\\\r\nRUN x\r\n");
        assert_eq!(instructions.len(), 3);
        assert_eq!(instructions[1].text(), "RUN dir C:\\ D:\\");
    }

    #[test]
    fn continuation_at_the_end_of_the_file_is_ignored() {
        assert_eq!(parse("FROM a:1 \\").len(), 1);
    }
}
