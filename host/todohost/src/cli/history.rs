//! `history`: the revisions that are kept.

use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, OutputFormat, StatusOptions};
use crate::ui;
use todohost_engine;
use todohost_engine::{Revision, RunError};
use todohost_model::text;
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn history(
        &self,
        common: &Common,
        options: &StatusOptions,
    ) -> Result<(), RunError> {
        let run = Arc::new(self.open(common, &[], OwnershipPolicy::default())?);
        for target in self.named_targets(&run, &options.target).await? {
            let revisions = Box::pin(todohost_engine::history(&run, &target)).await?;
            let text = match common.output {
                OutputFormat::Name => names(&revisions),
                _ => table(&revisions),
            };
            self.show(common, &revisions, &text)?;
        }
        Ok(())
    }
}

fn names(revisions: &[Revision]) -> String {
    let names: Vec<String> = revisions.iter().map(|one| one.revision.to_string()).collect();
    names.join("\n")
}

fn table(revisions: &[Revision]) -> String {
    let heads = ["REVISION", "DEPLOYED", "STATUS", "CHART", "APP", "DESCRIPTION", "MADE BY"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(revisions.iter().map(|one| {
        [
            one.revision.to_string(),
            one.deployed.clone(),
            one.status.clone(),
            one.chart.clone(),
            one.app_version.clone(),
            one.description.clone(),
            one.made_by.clone(),
        ]
        .map(|cell| text::clean(&cell).into_owned())
    }));
    ui::columns(&rows).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_cells_and_hold_no_escapes() {
        let revision = Revision {
            revision: 12,
            deployed: "2026-11-21 05:00:00Z".into(),
            status: "superseded".into(),
            chart: "todo-0.1.0".into(),
            app_version: "1".into(),
            description: "Upgrade \u{1b}[2J complete".into(),
            made_by: "helm".into(),
        };
        let text = table(std::slice::from_ref(&revision));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("DEPLOYED"), lines[1].find("2026"));
        assert_eq!(lines[0].find("MADE BY"), lines[1].find("helm"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_eq!(names(&[revision]), "12");
    }
}
