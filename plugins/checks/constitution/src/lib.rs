//! The check `constitution`: a project's images and chart, held to the principles that its plan names.
//!
//! Each row of Principle XI and each other principle is one finding, with the lines that show it. Rows about recipes and
//! the chart's files are judged before anything is built, the others once the objects are rendered. What no program can
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

use crate::judgement::{Facts, Row, Skipped};
use crate::project::Project;
use crate::release::Release;
use crate::rows::TABLES;
use serde::Deserialize;
use todohost_plugin::check::CheckSpec;
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Error, ErrorKind, Finding, Result, workspace};

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
        TABLES.iter().map(rows::Table::spec).collect()
    }

    fn run(id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
        let table = TABLES.iter().find(|table| table.id == id).ok_or_else(|| {
            Error::not_found("constitution.no-check", format!("there is no check {id}"))
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

/// One finding for each row that these facts are enough for.
fn judge(rows: &[Row], facts: &Facts<'_>, skipped: &Skipped) -> Vec<Finding> {
    rows.iter().filter_map(|row| row.finding(facts, skipped)).collect()
}
