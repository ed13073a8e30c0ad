//! The row about secrets in images and sources, which anyone with the image or the repository could read.
//!
//! Findings name variables and files, never values; the line is not shown either.

use super::dependencies::takes;
use crate::dockerfile::{Action, Dockerfile, Step};
use crate::judgement::Judgement;
use crate::location::Location;
use crate::project::{FILE, Image, Project};
use crate::sensitive;
use serde_json::Value;

/// No Dockerfile, build argument or chart default contains a secret.
pub fn secrets(project: &Project) -> Judgement {
    let mut judgement =
        Judgement::or_not_judged("the project has no Dockerfile and declares no secrets");
    for (image, dockerfile) in project.dockerfiles() {
        check_image(image, dockerfile, &mut judgement);
    }
    for (name, image) in &project.declared.images {
        for (argument, value) in &image.arguments {
            if sensitive::variable(argument, value) {
                let location = Location::value(
                    FILE,
                    format!("/images/{}/arguments/{argument}", escaped(name)),
                );
                judgement
                    .fault(&location, format!("the build argument {argument} contains a secret"));
            }
        }
    }
    check_values(project, &mut judgement);
    judgement
}

fn check_image(image: &Image, dockerfile: &Dockerfile, judgement: &mut Judgement) {
    let mut is_clean = true;
    let mut fault = |step: &Step, message: String| {
        is_clean = false;
        judgement.fault(&step.location, message);
    };
    let in_image: Vec<&Step> = dockerfile.image_steps().collect();
    for step in dockerfile.stages.iter().flat_map(|stage| &stage.steps) {
        let stays = in_image.iter().any(|other| std::ptr::eq(*other, step));
        match &step.action {
            Action::Environment(pairs) => {
                for (name, value) in pairs {
                    // A value from a build argument is stored only in the stages that become the image.
                    let from_argument = value.contains('$');
                    if sensitive::variable(name, value)
                        || (from_argument && stays && sensitive::name(name))
                    {
                        fault(step, format!("ENV {name} contains a secret"));
                    }
                }
            }
            Action::Argument(pairs) => {
                for (name, default) in pairs {
                    let holds =
                        default.as_ref().is_some_and(|value| sensitive::variable(name, value));
                    if holds || (stays && sensitive::name(name)) {
                        fault(step, format!("ARG {name} stores a secret in the image's history"));
                    }
                }
            }
            Action::Copy { from: None, sources } => {
                let file = sources.iter().find_map(|source| {
                    let mut inside = image.files.iter().filter(|path| takes(source, path));
                    let found = inside.find(|path| sensitive::file(path));
                    found.or_else(|| sensitive::file(source).then_some(source))
                });
                if let Some(file) = file {
                    fault(step, format!("copies {file}, a file for secrets"));
                }
            }
            Action::Run(commands) => {
                let texts = commands.iter().flat_map(|command| {
                    command.words.iter().chain(command.variables.iter().map(|(_, value)| value))
                });
                if texts.into_iter().any(|text| sensitive::address(text)) {
                    fault(step, "a command contains a URL with a password".to_owned());
                }
            }
            _ => {}
        }
    }
    if is_clean {
        judgement.evidence(&image.location(), "no instruction contains a secret");
    }
}

/// Values that the project declares as secret have no default in the chart.
fn check_values(project: &Project, judgement: &mut Judgement) {
    let secrets = &project.declared.secrets;
    let Some(Ok(values)) = &project.values else { return };
    let file = project.chart("values.yaml");
    let mut is_clean = true;
    for pointer in secrets.keys().map(|path| pointer(path)) {
        if values.pointer(&pointer).is_some_and(is_written) {
            is_clean = false;
            let location = Location::value(&file, pointer);
            judgement.fault(&location, "has a default, but todohost.toml declares it as secret");
        }
    }
    if is_clean && !secrets.is_empty() {
        judgement.evidence(&Location::file(&file), "no declared secret has a default");
    }
}

fn is_written(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// `secrets.databaseUrl` as a JSON pointer. The host accepts no quoting or escapes in such paths.
fn pointer(path: &str) -> String {
    let keys: Vec<String> = path.split('.').map(escaped).collect();
    format!("/{}", keys.join("/"))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
