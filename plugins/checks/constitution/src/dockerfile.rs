//! A Dockerfile as the rules see it: stages that build on each other, and steps with their locations.
//!
//! This module resolves stages and variables; the crate `parse_dockerfile` parses the text.

use crate::location::Location;
use crate::sensitive;
use crate::shell::{self, Command};
use parse_dockerfile::{Command as Written, Flag, Instruction, Source};
use std::collections::BTreeMap;

/// Variables and their values.
pub type Variables = BTreeMap<String, String>;

/// A parsed Dockerfile.
#[derive(Debug)]
pub struct Dockerfile {
    /// In the order of the file.
    pub stages: Vec<Stage>,
    /// Index of the stage that becomes the image.
    pub target: usize,
    /// `ARG` before the first stage.
    defaults: Variables,
    /// The project's values for `ARG`.
    arguments: Variables,
}

/// The instructions from one `FROM` to the next.
#[derive(Debug)]
pub struct Stage {
    name: Option<String>,
    /// Its base: an image or the name of a stage, with variables expanded.
    pub base: String,
    /// The location of its `FROM`.
    pub location: Location,
    /// The instructions after its `FROM`.
    pub steps: Vec<Step>,
}

/// One instruction.
#[derive(Debug)]
pub struct Step {
    pub location: Location,
    /// Its first line, shortened if that contains a secret.
    pub text: String,
    pub action: Action,
}

/// An instruction, reduced to the fields that rules use.
#[derive(Debug)]
pub enum Action {
    /// `ARG` names with their defaults.
    Argument(Vec<(String, Option<String>)>),
    /// `COPY` and `ADD`; `from` is a stage or another image.
    Copy { from: Option<String>, sources: Vec<String> },
    /// `ENV`.
    Environment(Vec<(String, String)>),
    /// `EXPOSE`.
    Expose,
    /// `RUN`.
    Run(Vec<Command>),
    /// `USER`.
    User(String),
    /// `WORKDIR`.
    Folder(String),
    /// Any instruction that no rule uses.
    Other,
}

/// A Dockerfile that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// One line for the user.
    pub reason: String,
}

impl Dockerfile {
    /// Parses a Dockerfile. `stage` names the stage that the project builds; the default is the last one.
    ///
    /// # Errors
    /// If the text is not a Dockerfile or has no such stage.
    pub fn read(
        path: &str,
        text: &str,
        stage: Option<&str>,
        arguments: &Variables,
    ) -> Result<Self, Unreadable> {
        // The parser's byte positions do not count a byte order mark.
        let text = text.trim_start_matches('\u{feff}');
        let parsed = parse_dockerfile::parse(text)
            .map_err(|error| Unreadable { reason: error.to_string() })?;
        let mut defaults = Variables::new();
        for argument in parsed.global_args() {
            for (name, default) in pairs(&argument.arguments.value) {
                let given = arguments.get(&name).cloned().or(default);
                defaults.extend(given.map(|value| (name, value)));
            }
        }
        let at = |start: usize| Location::line(path, text, start);
        let stages: Vec<Stage> = parsed
            .stages()
            .map(|stage| Stage {
                name: stage.from.as_.as_ref().map(|(_, name)| name.value.to_string()),
                base: expand(&stage.from.image.value, &defaults),
                location: at(stage.from.from.span.start),
                steps: stage.instructions.iter().map(|written| step(written, &at, text)).collect(),
            })
            .collect();
        let mut dockerfile = Self { stages, target: 0, defaults, arguments: arguments.clone() };
        dockerfile.target = match stage {
            None => dockerfile.stages.len().saturating_sub(1),
            Some(name) => dockerfile.find(name).ok_or_else(|| Unreadable {
                reason: format!("todohost.toml builds the stage {name}, which does not exist"),
            })?,
        };
        Ok(dockerfile)
    }

    /// The index of a stage, by its name or number.
    pub fn find(&self, name: &str) -> Option<usize> {
        let by_name = |stage: &Stage| {
            stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.stages
            .iter()
            .position(by_name)
            .or_else(|| name.parse().ok().filter(|at| *at < self.stages.len()))
    }

    /// A stage and all stages that it builds on, the first base first.
    pub fn chain(&self, stage: usize) -> Vec<&Stage> {
        let mut chain = Vec::new();
        let mut next = Some(stage);
        while let Some((at, stage)) = next.and_then(|at| Some((at, self.stages.get(at)?))) {
            chain.push(stage);
            // A stage can build only on earlier ones, so the loop ends.
            next = self.find(&stage.base).filter(|base| *base < at);
        }
        chain.reverse();
        chain
    }

    /// The stages that form the image.
    pub fn image(&self) -> Vec<&Stage> {
        self.chain(self.target)
    }

    /// The steps of the stages that form the image.
    pub fn image_steps(&self) -> impl Iterator<Item = &Step> {
        self.image().into_iter().flat_map(|stage| &stage.steps)
    }

    /// Applies the `ARG` and `ENV` of a step to the variables.
    pub fn apply(&self, step: &Step, variables: &mut Variables) {
        match &step.action {
            Action::Argument(pairs) => {
                for (name, default) in pairs {
                    let value = self
                        .arguments
                        .get(name)
                        .or(default.as_ref())
                        .or_else(|| self.defaults.get(name));
                    if let Some(value) = value {
                        let value = expand(value, variables);
                        variables.insert(name.clone(), value);
                    }
                }
            }
            Action::Environment(pairs) => {
                for (name, value) in pairs {
                    let value = expand(value, variables);
                    variables.insert(name.clone(), value);
                }
            }
            _ => {}
        }
    }
}

fn step(written: &Instruction<'_>, at: &dyn Fn(usize) -> Location, text: &str) -> Step {
    let copy = |options: &[Flag<'_>], sources: &[Source<'_>]| Action::Copy {
        from: options
            .iter()
            .find(|flag| flag.name.value == "from")
            .and_then(|flag| flag.value.as_ref())
            .map(|value| value.value.to_string()),
        sources: sources
            .iter()
            .filter_map(|source| match source {
                Source::Path(path) => Some(path.value.to_string()),
                // A here-document is part of the Dockerfile, not of the context.
                _ => None,
            })
            .collect(),
    };
    let (start, action) = match written {
        Instruction::Add(add) => (add.add.span.start, copy(&add.options, &add.src)),
        Instruction::Copy(copied) => (copied.copy.span.start, copy(&copied.options, &copied.src)),
        Instruction::Arg(arg) => {
            (arg.arg.span.start, Action::Argument(pairs(&arg.arguments.value)))
        }
        Instruction::Env(env) => {
            (env.env.span.start, Action::Environment(environment(&env.arguments.value)))
        }
        Instruction::Expose(expose) => (expose.expose.span.start, Action::Expose),
        Instruction::Run(run) => {
            let mut commands = match &run.arguments {
                Written::Shell(line) => shell::commands(line.value),
                Written::Exec(words) => {
                    let words = words.value.iter().map(|word| word.value.to_string()).collect();
                    Command::new(words).into_iter().collect()
                }
                _ => Vec::new(),
            };
            commands
                .extend(run.here_docs.iter().flat_map(|document| shell::commands(&document.value)));
            (run.run.span.start, Action::Run(commands))
        }
        Instruction::User(user) => {
            (user.user.span.start, Action::User(user.arguments.value.trim().to_owned()))
        }
        Instruction::Workdir(folder) => {
            (folder.workdir.span.start, Action::Folder(folder.arguments.value.trim().to_owned()))
        }
        // No rule uses the location of other instructions.
        _ => (0, Action::Other),
    };
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    Step { location: at(start), text: shown(line.trim_end_matches('\\').trim()), action }
}

/// A line as findings show it: only its first word if it contains a secret.
pub fn shown(line: &str) -> String {
    let has_secret = |word: &str| {
        word.split_once('=').is_some_and(|(name, value)| sensitive::variable(name, value))
    };
    if sensitive::address(line) || line.split_whitespace().any(has_secret) {
        return line.split_whitespace().take(1).chain(["..."]).collect::<Vec<_>>().join(" ");
    }
    line.to_owned()
}

/// Parses the arguments of `ARG`: `NAME=value OTHER`.
fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    words(text)
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        })
        .collect()
}

/// Parses the arguments of `ENV`: `NAME=value OTHER=value`, or the old form `NAME value`.
fn environment(text: &str) -> Vec<(String, String)> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !name.contains('=') {
        return vec![(name.to_owned(), rest.trim().to_owned())];
    }
    pairs(text).into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
}

fn words(text: &str) -> Vec<String> {
    shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
}

/// Expands `$NAME`, `${NAME}` and `${NAME:-default}`. Unknown variables without a default are kept unchanged.
pub fn expand(text: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (name, default, left) = if let Some(inside) = after.strip_prefix('{') {
            let (inside, left) = inside.split_once('}').unwrap_or((inside, ""));
            match inside.split_once(":-").or_else(|| inside.split_once('-')) {
                Some((name, default)) => (name, Some(default), left),
                None => (inside, None, left),
            }
        } else {
            let end = after.find(|letter| !is_letter(letter)).unwrap_or(after.len());
            let (name, left) = after.split_at(end);
            (name, None, left)
        };
        match variables.get(name).map(String::as_str).or(default) {
            Some(value) => out.push_str(value),
            None => {
                let written = &rest[before.len()..rest.len() - left.len()];
                out.push_str(written);
            }
        }
        rest = left;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ARG PYTHON=3.13\nFROM python:${PYTHON}-slim AS base\nENV A=1 B='two words'\n\
        FROM base AS builder\nRUN pip install \\\n  # why\n  -r requirements.txt\nFROM base\n\
        COPY --from=builder --chown=1 /venv /venv\nUSER $USERNAME\n";

    fn dockerfile(stage: Option<&str>) -> Dockerfile {
        Dockerfile::read("Dockerfile", TEXT, stage, &Variables::new()).unwrap()
    }

    #[test]
    fn image_is_the_last_stage_with_its_bases() {
        let dockerfile = dockerfile(None);
        let image = dockerfile.image();
        assert_eq!(image.len(), 2);
        assert_eq!(image[0].base, "python:3.13-slim");
        assert_eq!(image[1].location.to_string(), "Dockerfile:8");
        let copied = &image[1].steps[0];
        assert!(
            matches!(&copied.action, Action::Copy { from: Some(from), sources } if from == "builder" && sources == &["/venv"])
        );
        assert_eq!(copied.text, "COPY --from=builder --chown=1 /venv /venv");
    }

    #[test]
    fn project_can_build_another_stage() {
        assert_eq!(dockerfile(Some("BUILDER")).image().len(), 2);
        let error =
            Dockerfile::read("Dockerfile", TEXT, Some("none"), &Variables::new()).unwrap_err();
        assert_eq!(error.reason, "todohost.toml builds the stage none, which does not exist");
    }

    #[test]
    fn comments_and_line_continuations_are_removed_from_commands() {
        let dockerfile = dockerfile(None);
        let Action::Run(commands) = &dockerfile.stages[1].steps[0].action else { panic!("a RUN") };
        assert_eq!(commands[0].words.join(" "), "pip install -r requirements.txt");
    }

    #[test]
    fn known_variables_are_expanded() {
        let known = Variables::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expand("x$A-${A}.${B:-2}/$C${D}", &known), "x1-1.2/$C${D}");
    }

    #[test]
    fn invalid_dockerfile_is_an_error() {
        assert!(Dockerfile::read("Dockerfile", "RUN x\n", None, &Variables::new()).is_err());
        assert!(Dockerfile::read("Dockerfile", "", None, &Variables::new()).is_err());
    }
}
