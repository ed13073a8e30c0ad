//! A Dockerfile as the rules see it: stages that build on each other, and steps with their lines.
//!
//! It owns which stages an image is made of and what variables stand for; the grammar is the parser's business.

use crate::place::Place;
use crate::sensitive;
use crate::shell::{self, Command};
use parse_dockerfile::{Command as Written, Flag, Instruction, Source};
use std::collections::BTreeMap;

/// Variables and their values.
pub type Variables = BTreeMap<String, String>;

/// A Dockerfile.
#[derive(Debug)]
pub struct Recipe {
    /// In the order of the file.
    pub stages: Vec<Stage>,
    /// The one that becomes the image.
    pub target: usize,
    /// `ARG` in front of the first stage.
    defaults: Variables,
    /// What the project gives for `ARG`.
    arguments: Variables,
}

/// From one `FROM` to the next.
#[derive(Debug)]
pub struct Stage {
    name: Option<String>,
    /// What it builds on: an image, or the name of a stage. Variables are filled in.
    pub base: String,
    /// Its `FROM`.
    pub place: Place,
    /// What follows.
    pub steps: Vec<Step>,
}

/// One instruction.
#[derive(Debug)]
pub struct Step {
    /// Where it is written.
    pub place: Place,
    /// Its first line, unless that holds a secret.
    pub text: String,
    /// What it does.
    pub action: Action,
}

/// What an instruction does, as far as a rule asks.
#[derive(Debug)]
pub enum Action {
    /// `ARG`, with the default where there is one.
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
    /// What no rule asks for.
    Other,
}

/// Why there is no recipe.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// One line.
    pub reason: String,
}

impl Recipe {
    /// Reads the file at a path; `stage` is the one that the project builds where it is not the last.
    ///
    /// # Errors
    /// Where it is no Dockerfile, or has no such stage.
    pub fn read(
        path: &str,
        text: &str,
        stage: Option<&str>,
        arguments: &Variables,
    ) -> Result<Self, Unreadable> {
        // The parser counts from behind a byte order mark.
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
        let at = |start: usize| Place::line(path, text, start);
        let stages: Vec<Stage> = parsed
            .stages()
            .map(|stage| Stage {
                name: stage.from.as_.as_ref().map(|(_, name)| name.value.to_string()),
                base: expand(&stage.from.image.value, &defaults),
                place: at(stage.from.from.span.start),
                steps: stage.instructions.iter().map(|written| step(written, &at, text)).collect(),
            })
            .collect();
        let mut recipe = Self { stages, target: 0, defaults, arguments: arguments.clone() };
        recipe.target = match stage {
            None => recipe.stages.len().saturating_sub(1),
            Some(name) => recipe.find(name).ok_or_else(|| Unreadable {
                reason: format!("it has no stage {name}, which the project builds"),
            })?,
        };
        Ok(recipe)
    }

    /// The stage of a name or number.
    pub fn find(&self, name: &str) -> Option<usize> {
        let by_name = |stage: &Stage| {
            stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.stages
            .iter()
            .position(by_name)
            .or_else(|| name.parse().ok().filter(|at| *at < self.stages.len()))
    }

    /// A stage behind all that it builds on, the deepest first.
    pub fn chain(&self, stage: usize) -> Vec<&Stage> {
        let mut chain = Vec::new();
        let mut next = Some(stage);
        while let Some((at, stage)) = next.and_then(|at| Some((at, self.stages.get(at)?))) {
            chain.push(stage);
            // A stage can build on earlier ones alone, so this ends.
            next = self.find(&stage.base).filter(|base| *base < at);
        }
        chain.reverse();
        chain
    }

    /// The stages that the image itself is made of.
    pub fn image(&self) -> Vec<&Stage> {
        self.chain(self.target)
    }

    /// The steps that the image itself is made of.
    pub fn image_steps(&self) -> impl Iterator<Item = &Step> {
        self.image().into_iter().flat_map(|stage| &stage.steps)
    }

    /// What a step does to the variables of its chain.
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

fn step(written: &Instruction<'_>, at: &dyn Fn(usize) -> Place, text: &str) -> Step {
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
                // Its text stands in the recipe itself.
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
        // No rule asks where these are.
        _ => (0, Action::Other),
    };
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    Step { place: at(start), text: shown(line.trim_end_matches('\\').trim()), action }
}

/// A line as findings show it: one that holds a secret is not shown.
pub fn shown(line: &str) -> String {
    let gives_away = |word: &str| {
        word.split_once('=').is_some_and(|(name, value)| sensitive::variable(name, value))
    };
    if sensitive::address(line) || line.split_whitespace().any(gives_away) {
        return line.split_whitespace().take(1).chain(["..."]).collect::<Vec<_>>().join(" ");
    }
    line.to_owned()
}

/// `NAME=value OTHER` of an `ARG`.
fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    words(text)
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        })
        .collect()
}

/// `NAME=value OTHER=value` of an `ENV`, or its old form `NAME value`.
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

/// A text with `$NAME`, `${NAME}` and `${NAME:-default}` filled in; what is not known stays as it is.
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

    fn recipe(stage: Option<&str>) -> Recipe {
        Recipe::read("Dockerfile", TEXT, stage, &Variables::new()).unwrap()
    }

    #[test]
    fn the_image_is_the_last_stage_on_what_it_builds_on() {
        let recipe = recipe(None);
        let image = recipe.image();
        assert_eq!(image.len(), 2);
        assert_eq!(image[0].base, "python:3.13-slim");
        assert_eq!(image[1].place.to_string(), "Dockerfile:8");
        let copied = &image[1].steps[0];
        assert!(
            matches!(&copied.action, Action::Copy { from: Some(from), sources } if from == "builder" && sources == &["/venv"])
        );
        assert_eq!(copied.text, "COPY --from=builder --chown=1 /venv /venv");
    }

    #[test]
    fn the_project_may_build_another_stage() {
        assert_eq!(recipe(Some("BUILDER")).image().len(), 2);
        let error = Recipe::read("Dockerfile", TEXT, Some("none"), &Variables::new()).unwrap_err();
        assert_eq!(error.reason, "it has no stage none, which the project builds");
    }

    #[test]
    fn commands_have_no_comments_and_no_line_ends() {
        let recipe = recipe(None);
        let Action::Run(commands) = &recipe.stages[1].steps[0].action else { panic!("a RUN") };
        assert_eq!(commands[0].words.join(" "), "pip install -r requirements.txt");
    }

    #[test]
    fn variables_are_filled_in_where_they_are_known() {
        let known = Variables::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expand("x$A-${A}.${B:-2}/$C${D}", &known), "x1-1.2/$C${D}");
    }

    #[test]
    fn what_is_no_dockerfile_is_told() {
        assert!(Recipe::read("Dockerfile", "RUN x\n", None, &Variables::new()).is_err());
        assert!(Recipe::read("Dockerfile", "", None, &Variables::new()).is_err());
    }
}
