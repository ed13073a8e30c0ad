//! The step `build` with Docker: lists an image's inputs and builds it.
//!
//! The host computes the content tag from [`Build::inputs`]. That function pulls the base images, so that their ids are
//! the same before and after the first build.

mod builder;
mod buildkit;
mod classic;
mod dockerfile;
mod expand;
mod ignore;
mod transcript;

use builder::Builder;
use buildkit::{Reader, Update};
use dockerfile::{Base, Instruction};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use todohost_docker_engine as engine;
use todohost_plugin::build::{ImageSpec, InputSet};
use todohost_plugin::log::{self, Progress};
use todohost_plugin::process::{Command, last_lines};
use todohost_plugin::{Build, Error, ErrorKind, Image, Label, Result, workspace};
use transcript::Transcript;

struct DockerBuild;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Options {
    builder: Choice,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Choice {
    #[default]
    Auto,
    Buildx,
    Classic,
}

impl Build for DockerBuild {
    type Options = Options;

    fn inputs(_options: Options, spec: ImageSpec) -> Result<InputSet> {
        let file = ignore::join(&spec.context, &spec.dockerfile);
        let instructions = read_dockerfile(&spec.name, &file)?;
        let facts = engine::require()?;
        let bases =
            dockerfile::bases(&instructions, spec.stage.as_deref(), &known(&spec, &facts.platform))
                .map_err(|unresolved| {
                    Error::invalid_input(
                "docker-build.argument-missing",
                format!(
                    "{file} line {}: a build argument in `{}` has no value",
                    unresolved.line, unresolved.text
                ),
            )
            .help(format!(
                "give it a default (`ARG NAME=value` before the first FROM), or set it under \
                     [images.{}] arguments",
                spec.name
            ))
                })?;
        let context = ignore::clean(&spec.context);
        let context = if context.is_empty() { ".".to_owned() } else { context };
        Ok(InputSet {
            ignore: ignore::patterns(&read_ignore(&file, &context)?, &context, &file),
            paths: paths(context, file),
            bases: identify(&spec, &bases)?,
        })
    }

    fn build(options: Options, spec: ImageSpec) -> Result<Image> {
        let file = ignore::join(&spec.context, &spec.dockerfile);
        let instructions = read_dockerfile(&spec.name, &file)?;
        let builder = choose(options.builder)?;
        let mut command = Command::new("docker").args(builder::arguments(builder, &spec));
        if builder == Builder::Classic {
            // Without this variable, `docker build` uses BuildKit if it is available.
            command = command.env("DOCKER_BUILDKIT", "0");
        }
        run(builder, command, &spec.name, &file, &instructions)?;
        describe(&spec)
    }
}

/// The paths that the image depends on: the context, and the Dockerfile if it is outside the context.
fn paths(context: String, file: String) -> Vec<String> {
    let inside = context == "." || file.starts_with(&format!("{context}/"));
    if inside { vec![context] } else { vec![context, file] }
}

fn read_dockerfile(image: &str, file: &str) -> Result<Vec<Instruction>> {
    let text = workspace::read_text(file).map_err(|error| match error.kind {
        ErrorKind::NotFound => Error::invalid_input(
            "docker-build.no-dockerfile",
            format!("image {image}: {file} does not exist"),
        )
        .help(format!("set `context` and `dockerfile` under [images.{image}] in todohost.toml")),
        _ => error.context("docker-build.dockerfile", format!("image {image}: cannot read {file}")),
    })?;
    Ok(dockerfile::parse(&text))
}

/// Reads the ignore file. One next to the Dockerfile replaces that of the context.
fn read_ignore(file: &str, context: &str) -> Result<String> {
    for path in [format!("{file}.dockerignore"), ignore::join(context, ".dockerignore")] {
        match workspace::read_text(&path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::new())
}

/// The arguments that FROM can use: those of the project, and the platform arguments of every build.
fn known(spec: &ImageSpec, engine_platform: &str) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let target = spec.platform.as_deref().unwrap_or(engine_platform);
    for (side, platform) in [("BUILD", engine_platform), ("TARGET", target)] {
        let mut parts = platform.splitn(3, '/');
        known.insert(format!("{side}PLATFORM"), platform.to_owned());
        for part in ["OS", "ARCH", "VARIANT"] {
            known.insert(format!("{side}{part}"), parts.next().unwrap_or_default().to_owned());
        }
    }
    known.extend(
        spec.arguments.iter().map(|argument| (argument.key.clone(), argument.value.clone())),
    );
    known
}

/// The ids of the base images. Missing images are pulled first.
fn identify(spec: &ImageSpec, bases: &[Base]) -> Result<Vec<Label>> {
    let references: Vec<_> = bases.iter().map(|base| base.reference.clone()).collect();
    let mut facts = engine::inspect(&references)?;
    let mut pulled = false;
    for base in bases.iter().filter(|base| !facts.contains_key(&base.reference)) {
        pull(&spec.name, base, base.platform.as_ref().or(spec.platform.as_ref()))?;
        pulled = true;
    }
    if pulled {
        facts = engine::inspect(&references)?;
    }
    references
        .into_iter()
        .map(|reference| match facts.get(&reference) {
            Some(facts) => Ok(Label::new(reference, facts.id.clone())),
            None => Err(Error::internal(
                "docker-build.base-unavailable",
                format!("the base image {reference} was pulled, but the engine does not have it"),
            )),
        })
        .collect()
}

fn pull(image: &str, base: &Base, platform: Option<&String>) -> Result<()> {
    let progress = Progress::new(&format!("pull {}", base.reference));
    let mut command = Command::new("docker").arg("pull");
    if let Some(platform) = platform {
        command = command.args(["--platform", platform]);
    }
    let mut child =
        command.args(["--", &base.reference]).timeout(Duration::from_mins(30)).spawn()?;
    let mut text = String::new();
    while let Some(line) = child.next() {
        let line = line?.text;
        if progress.is_cancelled() {
            child.kill();
            return Err(cancelled(image));
        }
        progress.message(&format!("pull {}: {line}", base.reference));
        text.push_str(&line);
        text.push('\n');
    }
    if child.wait()? == Some(0) {
        return Ok(());
    }
    if engine::says_not_running(&text) {
        engine::require()?;
    }
    Err(Error::not_found(
        "docker-build.base-unavailable",
        format!("image {image}: cannot pull the base image {}", base.reference),
    )
    .because(last_lines(&text, 5))
    .help(format!("check the name and the network, then run `docker pull {}`", base.reference)))
}

fn choose(choice: Choice) -> Result<Builder> {
    if matches!(choice, Choice::Classic) {
        return Ok(Builder::Classic);
    }
    let output =
        Command::new("docker").args(["buildx", "version"]).timeout(Duration::from_secs(10)).run();
    let output = match output {
        Err(error) if error.kind == ErrorKind::NotFound => {
            engine::require()?;
            return Err(error);
        }
        other => other?,
    };
    let version = output.success().then(|| output.stdout_text());
    if matches!(choice, Choice::Buildx) && version.is_none() {
        return Err(Error::unavailable(
            "docker-build.no-buildx",
            "the option `builder` is buildx, but buildx is not installed",
        )
        .help(
            "install the package docker-buildx or docker-buildx-plugin, or set builder = \"auto\"",
        ));
    }
    Ok(builder::from_version(version.as_deref()))
}

fn run(
    builder: Builder,
    command: Command,
    image: &str,
    file: &str,
    instructions: &[Instruction],
) -> Result<()> {
    let progress = Progress::new(&format!("build {image}"));
    let mut transcript = Transcript::default();
    let mut reader = Reader::default();
    let mut stopped = false;
    let mut child = command.spawn()?;
    while let Some(line) = child.next() {
        let line = line?;
        if progress.is_cancelled() {
            child.kill();
            return Err(cancelled(image));
        }
        stopped |= engine::says_not_running(&line.text);
        match builder {
            Builder::Buildx => {
                for update in reader.line(&line.text, &mut transcript) {
                    show(&update, &progress);
                }
            }
            Builder::Classic | Builder::PlainBuildx => {
                match classic::line(line.source, &line.text, &mut transcript) {
                    Some(step) => show(&Update::Step(step.name), &progress),
                    None => log::debug(&line.text),
                }
                transcript.report(&line.text);
            }
        }
    }
    reader.finish(&mut transcript);
    if child.wait()? == Some(0) {
        return Ok(());
    }
    // The output of a step may contain the same text, so the engine itself is asked.
    if stopped {
        engine::require()?;
    }
    Err(transcript.into_error(image, file, instructions))
}

fn show(update: &Update, progress: &Progress) {
    match update {
        Update::Step(name) => progress.message(name),
        Update::Done => progress.advance(1),
        Update::Output(line) => log::debug(line),
    }
}

fn cancelled(image: &str) -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "docker-build.cancelled",
        format!("the build of image {image} was cancelled"),
    )
}

/// The built image in the engine. Its reference is the content tag.
fn describe(spec: &ImageSpec) -> Result<Image> {
    let reference = spec.tags.iter().find(|tag| !tag.ends_with(":latest")).or(spec.tags.first());
    let reference = reference.ok_or_else(|| {
        Error::invalid_input("docker-build.no-tag", format!("image {} has no tag", spec.name))
    })?;
    let mut facts = engine::inspect(std::slice::from_ref(reference))?;
    let facts = facts.remove(reference).ok_or_else(|| {
        Error::internal(
            "docker-build.not-loaded",
            format!("image {} was built, but the engine does not have {reference}", spec.name),
        )
        .help("the current builder does not load images into the engine: run `docker buildx use default`")
    })?;
    Ok(Image {
        name: spec.name.clone(),
        reference: reference.clone(),
        id: facts.id,
        platform: facts.platform,
        size: facts.size,
    })
}

todohost_plugin::export!(DockerBuild: build);

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ImageSpec {
        ImageSpec {
            name: "web".into(),
            context: "web".into(),
            dockerfile: "Dockerfile".into(),
            stage: None,
            platform: Some("linux/arm/v7".into()),
            tags: vec![],
            arguments: vec![Label::new("VERSION", "1"), Label::new("TARGETOS", "mine")],
        }
    }

    #[test]
    fn platform_arguments_are_known_and_given_arguments_win() {
        let known = known(&spec(), "linux/amd64");
        assert_eq!(known["BUILDARCH"], "amd64");
        assert_eq!(known["TARGETPLATFORM"], "linux/arm/v7");
        assert_eq!(known["TARGETVARIANT"], "v7");
        assert_eq!(known["BUILDVARIANT"], "");
        assert_eq!(known["VERSION"], "1");
        assert_eq!(known["TARGETOS"], "mine", "given arguments win");
    }

    #[test]
    fn dockerfile_outside_the_context_is_a_separate_input() {
        assert_eq!(paths("web".into(), "web/Dockerfile".into()), ["web"]);
        assert_eq!(paths("web".into(), "webs/Dockerfile".into()), ["web", "webs/Dockerfile"]);
        assert_eq!(paths(".".into(), "Dockerfile".into()), ["."]);
    }
}
