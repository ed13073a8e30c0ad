//! Rows about dependencies installed in an image: their layer, and whether development dependencies stay in the image.

use super::image::each;
use crate::dockerfile::{Action, Dockerfile, Step, Variables, shown};
use crate::install::{self, Ecosystem, Install};
use crate::judgement::Judgement;
use crate::project::{Image, Project, join};
use globset::Glob;

/// Lock files: a project with one of them has dependencies to install.
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

/// Directories that package managers need during the installation.
const NEEDED: [&str; 7] = ["prisma", "patches", ".yarn", "vendor", ".mvn", "gradle", ".cargo"];

/// Directories with Python packages, besides the directory of the installation.
const PYTHON_FOLDERS: [&str; 7] =
    ["venv", "site-packages", "dist-packages", "/usr/local", "/root/.local", "/opt", "wheels"];

/// Packages installed in a stage, by the stage itself or copied from another stage.
struct Found<'a> {
    /// The step that runs the installation.
    step: &'a Step,
    /// The step that adds the packages to the stage: `step`, or a `COPY` from another stage.
    added_by: &'a Step,
    /// The command, as findings show it.
    line: String,
    install: Install,
    folder: String,
    /// Sources copied from the context before the installation.
    copied: Vec<(&'a Step, &'a str)>,
}

impl Found<'_> {
    /// Whether the stage runs the installation itself.
    fn is_own(&self) -> bool {
        std::ptr::eq(self.step, self.added_by)
    }
}

/// All installations of a stage and of the stages that it builds on, in order.
fn installations(dockerfile: &Dockerfile, stage: usize) -> Vec<Found<'_>> {
    let (mut variables, mut folder) = (Variables::new(), String::new());
    let (mut copied, mut found) = (Vec::new(), Vec::new());
    for step in dockerfile.chain(stage).into_iter().flat_map(|stage| &stage.steps) {
        dockerfile.apply(step, &mut variables);
        match &step.action {
            Action::Folder(path) if path.starts_with('/') => folder = join("", path),
            Action::Folder(path) => folder = join(&folder, path),
            Action::Copy { from: None, sources } => {
                copied.extend(sources.iter().map(|source| (step, source.as_str())));
            }
            Action::Copy { from: Some(from), sources } => {
                // A stage can copy only from earlier ones, so the recursion ends.
                let Some(other) = dockerfile.find(from).filter(|other| *other < stage) else {
                    continue;
                };
                let carried = left_by(dockerfile, other)
                    .into_iter()
                    .filter(|left| sources.iter().any(|source| carries(source, left)));
                found.extend(carried.map(|left| Found {
                    added_by: step,
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
                        added_by: step,
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

/// Dependencies are installed before the sources are copied, so that a change of the sources reinstalls nothing.
pub fn layer(project: &Project) -> Judgement {
    each(project, |image, dockerfile, judgement| {
        let mut reported: Vec<&Step> = Vec::new();
        let mut installs_project = false;
        for stage in 0..dockerfile.stages.len() {
            let mut found = installations(dockerfile, stage);
            found.retain(Found::is_own);
            let project_install =
                found.iter().find(|found| !found.install.named && !found.install.prunes);
            installs_project |= project_install.is_some();
            let Some(first) = project_install.or_else(|| found.first()) else { continue };
            if reported.iter().any(|step| std::ptr::eq(*step, first.step)) {
                continue;
            }
            reported.push(first.step);
            let sources = first.copied.iter().find(|(_, source)| is_tree(image, source));
            match sources {
                Some((step, source)) => judgement.fault(
                    &first.step.location,
                    format!(
                        "installs dependencies after copying sources ({source}, {})",
                        step.location
                    ),
                ),
                None => judgement.evidence(&first.step.location, first.line.clone()),
            }
        }
        if installs_project {
            return;
        }
        match lock(image, dockerfile) {
            Some((step, lock)) => judgement.fault(
                &step.location,
                format!(
                    "no step installs the dependencies of {lock} before the sources are copied"
                ),
            ),
            None if reported.is_empty() => {
                judgement.evidence(&image.location(), "no dependencies to install");
            }
            None => {}
        }
    })
}

/// Whether a source of `COPY` is a whole directory of sources rather than single files.
fn is_tree(image: &Image, source: &str) -> bool {
    let source = join("", source);
    if NEEDED.contains(&source.as_str()) {
        return false;
    }
    let inside = format!("{source}/");
    matches!(source.as_str(), "" | "*") || image.files.iter().any(|path| path.starts_with(&inside))
}

/// A lock file of the context and the step that copies it.
fn lock<'a>(image: &Image, dockerfile: &'a Dockerfile) -> Option<(&'a Step, &'static str)> {
    let lock = LOCKS.into_iter().find(|lock| image.files.iter().any(|path| path == *lock))?;
    let steps = dockerfile.stages.iter().flat_map(|stage| &stage.steps);
    let step = steps.into_iter().find(|step| match &step.action {
        Action::Copy { from: None, sources } => sources.iter().any(|source| takes(source, lock)),
        _ => false,
    })?;
    Some((step, lock))
}

/// Whether a source of `COPY` includes a file of the context.
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

/// Development dependencies do not get into the image.
pub fn production(project: &Project) -> Judgement {
    each(project, |image, dockerfile, judgement| {
        let left = left_by(dockerfile, dockerfile.target);
        for found in &left {
            let (location, line) = (&found.added_by.location, &found.line);
            if found.install.production {
                judgement.evidence(&found.step.location, line.as_str());
            } else if found.is_own() {
                judgement
                    .fault(location, format!("{} installs dev dependencies: {line}", image.name));
            } else {
                let origin = format!("{line} ({})", found.step.location);
                judgement.fault(location, format!("copies dev dependencies of: {origin}"));
            }
        }
        if left.is_empty() {
            judgement.evidence(&image.location(), "no installed packages in the image");
        }
    })
}

/// The last installation of each ecosystem and directory of a stage; earlier ones are replaced by it.
fn left_by(dockerfile: &Dockerfile, stage: usize) -> Vec<Found<'_>> {
    let mut left: Vec<Found<'_>> = Vec::new();
    for found in installations(dockerfile, stage) {
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

/// Whether a `COPY` of this path from a stage includes the packages installed there.
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
    fn source_takes_files_below_it_and_glob_matches() {
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
