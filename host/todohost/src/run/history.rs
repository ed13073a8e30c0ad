//! The revisions of a release, for reading.

use serde::Serialize;
use serde_json::Value;

use super::error::RunError;
use super::session::Session;
use todohost_release::Record;

/// A revision as its record tells of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number.
    pub revision: u32,
    /// When it was deployed, in UTC.
    pub deployed: String,
    /// E.g. `deployed`.
    pub status: String,
    /// Name and version of the chart.
    pub chart: String,
    /// What the chart says is in it.
    pub app_version: String,
    /// One line.
    pub description: String,
    /// Who made it, with what; where nobody wrote that down, only with what.
    pub made_by: String,
}

impl Revision {
    fn of(record: &Record) -> Self {
        let metadata = |field: &str| -> &str {
            let value = record.chart.get("metadata").and_then(|metadata| metadata.get(field));
            value.and_then(Value::as_str).unwrap_or_default()
        };
        let deployed = record.info.last_deployed.map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ"));
        let made_by = match record.facts.as_ref().filter(|_| record.is_ours()) {
            Some(facts) if facts.person.is_empty() => format!("todohost {}", facts.host),
            Some(facts) => format!("todohost {}, {}", facts.host, facts.person),
            // Stock Helm wrote the record again, to supersede it, and kept nothing that it does not know.
            None if record.has_our_origin() => "todohost".to_owned(),
            // Its records do not say which version of it, nor whose.
            None => "helm".to_owned(),
        };
        Self {
            revision: record.revision,
            deployed: deployed.map(|time| time.to_string()).unwrap_or_default(),
            status: record.info.status.as_str().to_owned(),
            chart: format!("{}-{}", metadata("name"), metadata("version")),
            app_version: metadata("appVersion").to_owned(),
            description: record.info.description.clone(),
            made_by,
        }
    }
}

impl Session {
    /// All revisions that are kept, oldest first.
    pub(super) async fn history(&self) -> Result<Vec<Revision>, RunError> {
        let records = self.or_cancelled(self.reached()?.store.records()).await?;
        if records.is_empty() {
            return Err(self.not_deployed());
        }
        Ok(records.iter().map(|record| self.told(record)).collect())
    }

    /// A revision as it may be shown.
    pub(super) fn told(&self, record: &Record) -> Revision {
        let revision = Revision::of(record);
        let description = self.vault().redact(&revision.description);
        Revision { description, ..revision }
    }

    /// The error where there is no release.
    pub(super) fn not_deployed(&self) -> RunError {
        let app = &self.run.project.file.app;
        RunError::NotDeployed {
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            target: self.target.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_that_stock_helm_made_is_told_so() {
        let mut record: Record = serde_json::from_value(json!({
            "name": "app", "version": 2,
            "info": { "last_deployed": "2026-11-21T06:00:00.5+01:00", "status": "superseded", "description": "Upgrade complete" },
            "chart": { "metadata": { "name": "todo", "version": "0.1.0", "appVersion": "7" } },
        }))
        .unwrap();
        let told = Revision::of(&record);
        assert_eq!(
            (told.deployed.as_str(), told.made_by.as_str()),
            ("2026-11-21 05:00:00Z", "helm")
        );
        assert_eq!((told.chart.as_str(), told.app_version.as_str()), ("todo-0.1.0", "7"));

        record.labels.insert("todohost/revision".to_owned(), "2".to_owned());
        assert_eq!(Revision::of(&record).made_by, "todohost");
        record.facts = Some(todohost_release::Facts {
            host: "0.1.0".to_owned(),
            person: "ada@laptop".to_owned(),
            ..todohost_release::Facts::default()
        });
        assert_eq!(Revision::of(&record).made_by, "todohost 0.1.0, ada@laptop");
        record.labels.insert("todohost/revision".to_owned(), "1".to_owned());
        assert_eq!(Revision::of(&record).made_by, "helm", "the label was copied");
    }
}
