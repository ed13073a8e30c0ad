//! Secrets that are written where everyone who has the image or the sources can read them.
//!
//! Findings name variables and files, never values: not even the line is shown.

use super::dependencies::takes;
use crate::judgement::Judgement;
use crate::place::Place;
use crate::project::{FILE, Image, Project};
use crate::recipe::{Action, Recipe, Step};
use crate::sensitive;
use serde_json::Value;

/// No recipe, no argument and no default holds a secret.
pub fn secrets(project: &Project) -> Judgement {
    let mut judgement =
        Judgement::unless("there is no Dockerfile to judge, and no secret is declared");
    for (image, recipe) in project.recipes() {
        of_image(image, recipe, &mut judgement);
    }
    for (name, image) in &project.declared.images {
        for (argument, value) in &image.arguments {
            if sensitive::variable(argument, value) {
                let place =
                    Place::value(FILE, format!("/images/{}/arguments/{argument}", escaped(name)));
                judgement.fault(&place, format!("the build argument {argument} holds a secret"));
            }
        }
    }
    of_values(project, &mut judgement);
    judgement
}

fn of_image(image: &Image, recipe: &Recipe, judgement: &mut Judgement) {
    let mut is_clean = true;
    let mut fault = |step: &Step, message: String| {
        is_clean = false;
        judgement.fault(&step.place, message);
    };
    let in_image: Vec<&Step> = recipe.image_steps().collect();
    for step in recipe.stages.iter().flat_map(|stage| &stage.steps) {
        let stays = in_image.iter().any(|other| std::ptr::eq(*other, step));
        match &step.action {
            Action::Environment(pairs) => {
                for (name, value) in pairs {
                    // What a variable of the build gives stays only in the stage that becomes the image.
                    let is_given = value.contains('$');
                    if sensitive::variable(name, value)
                        || (is_given && stays && sensitive::name(name))
                    {
                        fault(step, format!("ENV {name} holds a secret"));
                    }
                }
            }
            Action::Argument(pairs) => {
                for (name, default) in pairs {
                    let holds =
                        default.as_ref().is_some_and(|value| sensitive::variable(name, value));
                    if holds || (stays && sensitive::name(name)) {
                        fault(
                            step,
                            format!("ARG {name} holds a secret, and the image's history keeps it"),
                        );
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
                    fault(step, format!("{file} is copied, a file that holds secrets"));
                }
            }
            Action::Run(commands) => {
                let texts = commands.iter().flat_map(|command| {
                    command.words.iter().chain(command.variables.iter().map(|(_, value)| value))
                });
                if texts.into_iter().any(|text| sensitive::address(text)) {
                    fault(step, "a command has an address with a password in it".to_owned());
                }
            }
            _ => {}
        }
    }
    if is_clean {
        judgement.evidence(&image.place(), "no instruction holds a secret");
    }
}

/// What the project declares as secret has no default in the chart.
fn of_values(project: &Project, judgement: &mut Judgement) {
    let secrets = &project.declared.secrets;
    let Some(Ok(values)) = &project.values else { return };
    let file = project.chart("values.yaml");
    let mut is_clean = true;
    for pointer in secrets.keys().map(|path| pointer(path)) {
        if values.pointer(&pointer).is_some_and(is_written) {
            is_clean = false;
            let place = Place::value(&file, pointer);
            judgement.fault(&place, "a value that the project declares as secret is written here");
        }
    }
    if is_clean && !secrets.is_empty() {
        judgement.evidence(&Place::file(&file), "no secret value is written here");
    }
}

fn is_written(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// `secrets.databaseUrl` as a JSON pointer; the host takes no path with other signs in it.
fn pointer(path: &str) -> String {
    let keys: Vec<String> = path.split('.').map(escaped).collect();
    format!("/{}", keys.join("/"))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
