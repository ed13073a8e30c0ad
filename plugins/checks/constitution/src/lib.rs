//! The check `constitution`: checks a project's images and chart against the principles of the Todo app's plan.
//!
//! Each row of Principle XI and each other principle gives one finding, with the lines behind it. Rows about Dockerfiles
//! and the chart's files run in the phase `source`, the others in the phase `rendered`. A row that no program can decide
//! is reported as not judged, never as passed. The check reads the project's files and has no other capability.

mod dockerfile;
mod ignore;
mod install;
mod judgement;
mod location;
mod project;
mod release;
mod rows;
mod sensitive;
mod shell;
mod template;

#[cfg(test)]
mod tests;

use crate::judgement::{Facts, Row, Skipped};
use crate::project::Project;
use crate::release::Release;
use crate::rows::TABLES;
use serde::Deserialize;
use todohost_plugin::check::CheckSpec;
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Error, ErrorKind, Finding, Result, workspace};

struct Constitution;

/// The options in todohost.toml.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    skip: Skipped,
}

impl Check for Constitution {
    type Options = Options;

    fn checks() -> Vec<CheckSpec> {
        TABLES.iter().map(rows::Table::spec).collect()
    }

    fn run(id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
        let table = TABLES.iter().find(|table| table.id == id).ok_or_else(|| {
            Error::not_found("constitution.no-check", format!("no check is named `{id}`"))
        })?;
        if subject.phase() == Some("rendered") {
            let release = Release::read(subject.rendered()?, &read, &|folder| {
                let entries = workspace::glob(&format!("{folder}/**"))?;
                Ok(entries
                    .into_iter()
                    .filter(|entry| !entry.is_dir)
                    .map(|entry| entry.path)
                    .collect())
            })?;
            return Ok(judge(table.rows, &Facts::Objects(&release), &options.skip));
        }
        let project = Project::read(subject.source()?.files, &read)?;
        Ok(judge(table.rows, &Facts::Files(&project), &options.skip))
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

/// One finding for each row that can be decided from these facts.
fn judge(rows: &[Row], facts: &Facts<'_>, skipped: &Skipped) -> Vec<Finding> {
    rows.iter().filter_map(|row| row.finding(facts, skipped)).collect()
}
