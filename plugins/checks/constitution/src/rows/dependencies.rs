//! What is installed while an image is built: in which layer, and whether development tools stay in the image.

use super::image::each;
use crate::install::{self, Ecosystem, Install};
use crate::judgement::Judgement;
use crate::project::{Image, Project, join};
use crate::recipe::{Action, Recipe, Step, Variables, shown};
use globset::Glob;

/// Files that show that there is something to install.
const LOCKS: [&str; 12] = [
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "uv.lock",
    "poetry.lock",
    "requirements.txt",
    "Pipfile.lock",
    "go.sum",
    "Cargo.lock",
    "Gemfile.lock",
    "composer.lock",
];
/// Folders that an installation itself needs.
const NEEDED: [&str; 7] = ["prisma", "patches", ".yarn", "vendor", ".mvn", "gradle", ".cargo"];
/// Where Python's packages are, besides the folder that they were installed in.
const PYTHON_FOLDERS: [&str; 7] =
    ["venv", "site-packages", "dist-packages", "/usr/local", "/root/.local", "/opt", "wheels"];

/// An installation that a stage has.
struct Found<'a> {
    /// Where it is run.
    step: &'a Step,
    /// What brings it into the stage: itself, or the `COPY` of what another stage installed.
    brought: &'a Step,
    /// The command, as findings show it.
    line: String,
    install: Install,
    folder: String,
    /// What was copied from the context before it.
    copied: Vec<(&'a Step, &'a str)>,
}

impl Found<'_> {
    /// Whether the stage runs it itself.
    fn is_own(&self) -> bool {
        std::ptr::eq(self.step, self.brought)
    }
}

/// All of a stage and what it builds on, in order.
fn installations(recipe: &Recipe, stage: usize) -> Vec<Found<'_>> {
    let (mut variables, mut folder) = (Variables::new(), String::new());
    let (mut copied, mut found) = (Vec::new(), Vec::new());
    for step in recipe.chain(stage).into_iter().flat_map(|stage| &stage.steps) {
        recipe.apply(step, &mut variables);
        match &step.action {
            Action::Folder(path) if path.starts_with('/') => folder = join("", path),
            Action::Folder(path) => folder = join(&folder, path),
            Action::Copy { from: None, sources } => {
                copied.extend(sources.iter().map(|source| (step, source.as_str())));
            }
            Action::Copy { from: Some(from), sources } => {
                // A stage can take from earlier ones alone, so this ends.
                let Some(other) = recipe.find(from).filter(|other| *other < stage) else {
                    continue;
                };
                let carried = left_by(recipe, other)
                    .into_iter()
                    .filter(|left| sources.iter().any(|source| carries(source, left)));
                found.extend(carried.map(|left| Found {
                    brought: step,
                    folder: folder.clone(),
                    copied: Vec::new(),
                    ..left
                }));
            }
            Action::Run(commands) => {
                for command in commands {
                    let Some(install) = install::of(command, &variables) else { continue };
                    found.push(Found {
                        step,
                        brought: step,
                        line: shown(&command.words.join(" ")),
                        install,
                        folder: folder.clone(),
                        copied: copied.clone(),
                    });
                }
            }
            _ => {}
        }
    }
    found
}

/// Dependencies are installed before the sources are copied, so that a change of these installs nothing.
pub fn layer(project: &Project) -> Judgement {
    each(project, |image, recipe, judgement| {
        let mut told: Vec<&Step> = Vec::new();
        let mut installs_project = false;
        for stage in 0..recipe.stages.len() {
            let mut found = installations(recipe, stage);
            found.retain(Found::is_own);
            let of_project =
                found.iter().find(|found| !found.install.named && !found.install.prunes);
            installs_project |= of_project.is_some();
            let Some(first) = of_project.or_else(|| found.first()) else { continue };
            if told.iter().any(|step| std::ptr::eq(*step, first.step)) {
                continue;
            }
            told.push(first.step);
            let sources = first.copied.iter().find(|(_, source)| is_tree(image, source));
            match sources {
                Some((step, source)) => judgement.fault(
                    &first.step.place,
                    format!("installs after the sources are copied ({source}, {})", step.place),
                ),
                None => judgement.evidence(&first.step.place, first.line.clone()),
            }
        }
        if installs_project {
            return;
        }
        match lock(image, recipe) {
            Some((step, lock)) => judgement.fault(
                &step.place,
                format!("{lock} comes with the sources, and no step before installs what it names"),
            ),
            None if told.is_empty() => {
                judgement.evidence(&image.place(), "there is nothing to install");
            }
            None => {}
        }
    })
}

/// Whether a source of `COPY` is more than files that are named one by one.
fn is_tree(image: &Image, source: &str) -> bool {
    let source = join("", source);
    if NEEDED.contains(&source.as_str()) {
        return false;
    }
    let inside = format!("{source}/");
    matches!(source.as_str(), "" | "*") || image.files.iter().any(|path| path.starts_with(&inside))
}

/// A list of dependencies that a step copies.
fn lock<'a>(image: &Image, recipe: &'a Recipe) -> Option<(&'a Step, &'static str)> {
    let lock = LOCKS.into_iter().find(|lock| image.files.iter().any(|path| path == *lock))?;
    let steps = recipe.stages.iter().flat_map(|stage| &stage.steps);
    let step = steps.into_iter().find(|step| match &step.action {
        Action::Copy { from: None, sources } => sources.iter().any(|source| takes(source, lock)),
        _ => false,
    })?;
    Some((step, lock))
}

/// Whether a source of `COPY` takes a file of the context.
pub fn takes(source: &str, path: &str) -> bool {
    let source = join("", source);
    source.is_empty()
        || path == source
        || path.strip_prefix(&source).is_some_and(|rest| rest.starts_with('/'))
        || (source.contains(['*', '?', '['])
            && Glob::new(&source).is_ok_and(|glob| {
                let glob = glob.compile_matcher();
                let first = path.split('/').next().unwrap_or_default();
                glob.is_match(path) || glob.is_match(first)
            }))
}

/// Development tools are left behind.
pub fn production(project: &Project) -> Judgement {
    each(project, |image, recipe, judgement| {
        let left = left_by(recipe, recipe.target);
        for found in &left {
            let (place, line) = (&found.brought.place, &found.line);
            if found.install.production {
                judgement.evidence(&found.step.place, line.as_str());
            } else if found.is_own() {
                judgement.fault(place, format!("{} gets development tools: {line}", image.name));
            } else {
                let origin = format!("{line} ({})", found.step.place);
                judgement.fault(place, format!("this brings development tools: {origin}"));
            }
        }
        if left.is_empty() {
            judgement.evidence(&image.place(), "no installed package is copied into the image");
        }
    })
}

/// What the last installation of each folder left in a stage.
fn left_by(recipe: &Recipe, stage: usize) -> Vec<Found<'_>> {
    let mut left: Vec<Found<'_>> = Vec::new();
    for found in installations(recipe, stage) {
        if found.install.named || found.install.ecosystem == Ecosystem::Compiled {
            continue;
        }
        left.retain(|other| {
            other.install.ecosystem != found.install.ecosystem || other.folder != found.folder
        });
        left.push(found);
    }
    left
}

/// Whether a folder of a stage holds what was installed there.
fn carries(source: &str, found: &Found<'_>) -> bool {
    let path = join("", source);
    let is_around = path.is_empty()
        || found.folder == path
        || found.folder.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'));
    let named = |name: &str| path.split('/').any(|part| part == name);
    is_around
        || match found.install.ecosystem {
            Ecosystem::Node => named("node_modules"),
            Ecosystem::Php => named("vendor"),
            Ecosystem::Python => {
                let path = format!("/{path}");
                PYTHON_FOLDERS.iter().any(|folder| path.contains(folder))
            }
            Ecosystem::Compiled => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_takes_itself_what_is_below_it_and_what_it_matches() {
        for (source, path) in [
            (".", "a"),
            ("./src/", "src/a"),
            ("package*.json", "package-lock.json"),
            ("*", "src/a"),
        ] {
            assert!(takes(source, path), "{source} {path}");
        }
        for (source, path) in [("src", "srcs/a"), ("package.json", "package-lock.json")] {
            assert!(!takes(source, path), "{source} {path}");
        }
    }
}
