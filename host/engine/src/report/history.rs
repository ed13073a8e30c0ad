//! The revisions of a release, as they are shown.

use serde::Serialize;
use serde_json::Value;

use crate::connected::Connected;
use crate::error::RunError;
use todohost_release::Record;

/// A revision as its record describes it.
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
    /// The chart's `appVersion`.
    pub app_version: String,
    /// One line.
    pub description: String,
    /// The program that made the revision, and the person if recorded.
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
            // Stock Helm rewrote the record to supersede it, and dropped the fields that it does not know.
            None if record.has_our_origin() => "todohost".to_owned(),
            // Its records name neither its version nor the person.
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

/// All revisions that are kept, oldest first.
pub(crate) async fn history(connected: &Connected) -> Result<Vec<Revision>, RunError> {
    let records = connected.cx.or_cancelled(connected.store.records()).await?;
    if records.is_empty() {
        return Err(connected.not_deployed());
    }
    Ok(records.iter().map(|record| described(connected, record)).collect())
}

/// A revision as it may be shown: redacted.
pub(super) fn described(connected: &Connected, record: &Record) -> Revision {
    let revision = Revision::of(record);
    let description = connected.vault.redact(&revision.description);
    Revision { description, ..revision }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_made_by_stock_helm_is_attributed_to_helm() {
        let mut record: Record = serde_json::from_value(json!({
            "name": "app", "version": 2,
            "info": { "last_deployed": "2026-11-21T06:00:00.5+01:00", "status": "superseded", "description": "Upgrade complete" },
            "chart": { "metadata": { "name": "todo", "version": "0.1.0", "appVersion": "7" } },
        }))
        .unwrap();
        let shown = Revision::of(&record);
        assert_eq!(
            (shown.deployed.as_str(), shown.made_by.as_str()),
            ("2026-11-21 05:00:00Z", "helm")
        );
        assert_eq!((shown.chart.as_str(), shown.app_version.as_str()), ("todo-0.1.0", "7"));

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
