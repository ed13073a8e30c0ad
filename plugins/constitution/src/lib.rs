//! The check `constitution`: a project's images and chart, held to the principles that its plan names.
//!
//! Each row of Principle XI and each other principle is one finding, with the lines that show it. Rows about recipes and
//! the chart's files are judged before anything is built, rows about objects once they are rendered. What no program can
//! judge is told as not judged, never as passed. It reads the files that rows ask for, and has no other capability.

mod ignore;
mod install;
mod judgement;
mod place;
mod project;
mod recipe;
mod release;
mod rows;
mod sensitive;
mod shell;
mod template;

#[cfg(test)]
mod tests;

use crate::judgement::Skipped;
use crate::project::Project;
use crate::release::Release;
use serde::Deserialize;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, ErrorKind, Finding, Result, workspace};

struct Constitution;

/// What a project may set.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    skip: Skipped,
}

impl Check for Constitution {
    type Options = Options;

    fn checks() -> Vec<CheckSpec> {
        let title = "images and chart hold to the principles";
        vec![CheckSpec::new("principles", title, [Phase::Source, Phase::Rendered])]
    }

    fn run(_id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
        if subject.phase() == Some("rendered") {
            let release = Release::read(subject.rendered()?, &read, &|folder| {
                let entries = workspace::glob(&format!("{folder}/**"))?;
                Ok(entries
                    .into_iter()
                    .filter(|entry| !entry.is_dir)
                    .map(|entry| entry.path)
                    .collect())
            })?;
            return Ok(of_release(&release, &options.skip));
        }
        let project = Project::read(subject.source()?.files, &read)?;
        Ok(of_project(&project, &options.skip))
    }
}

todohost_plugin::export!(Constitution: check);

fn read(path: &str) -> Result<Option<String>> {
    match workspace::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// One finding for each row that is judged before anything is rendered.
fn of_project(project: &Project, skipped: &Skipped) -> Vec<Finding> {
    rows::OF_PROJECT.iter().map(|row| row.finding(project, skipped)).collect()
}

/// One finding for each row that is judged by the rendered objects.
fn of_release(release: &Release, skipped: &Skipped) -> Vec<Finding> {
    rows::OF_RELEASE.iter().map(|row| row.finding(release, skipped)).collect()
}
