//! The state of the app at this moment.

use serde::Serialize;

use super::history::{Revision, described};
use crate::connected::Connected;
use crate::error::RunError;
use crate::plan::Chosen;
use crate::verify::{find_addresses, health_label, judge, refs_of, release_objects, verifier};

/// The state of the app at this moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Name of the release.
    pub release: String,
    pub namespace: String,
    pub target: String,
    /// The current revision.
    pub revision: u32,
    /// The recorded state of the revision.
    pub status: String,
    /// The rest of its record.
    pub record: Option<Revision>,
    /// A newer revision that did not become current, or has not yet.
    pub newer: Option<Revision>,
    /// Each object with its health.
    pub objects: Vec<ObjectState>,
    /// Addresses of the app, or commands that forward to it.
    pub addresses: Vec<String>,
    /// The chart's notes.
    pub notes: String,
}

/// The state of one object.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectState {
    /// `Kind/name`.
    pub object: String,
    /// E.g. `healthy` or `progressing`.
    pub health: String,
    /// The reason, if the object is not healthy.
    pub message: String,
}

/// Judges every object of the current revision once.
pub(crate) async fn state(connected: &Connected, chosen: &Chosen) -> Result<State, RunError> {
    let cx = &connected.cx;
    let bus = &cx.bus;
    let objects = release_objects(connected, None).await?;
    let mut watch = connected.client.watch(&refs_of(&objects), cx.cancel.clone()).await?;
    let mut verifier = verifier(connected, chosen, bus)?;
    let options = chosen.options.to_string();
    let snapshots = cx.or_cancelled(watch.next()).await?.ok_or_else(RunError::cancelled)?;
    let mut states = Vec::new();
    for snapshot in snapshots {
        let verdict = judge(&mut verifier, &options, &snapshot).await?;
        states.push(ObjectState {
            object: snapshot.object_ref.to_string(),
            health: health_label(verdict.health).to_owned(),
            message: connected.vault.redact(&verdict.message),
        });
    }
    let addresses = find_addresses(connected, None, &objects, bus).await;
    let record = connected.deployed.as_ref();
    let newer = connected
        .latest
        .as_ref()
        .filter(|latest| record.is_some_and(|record| latest.revision > record.revision));
    Ok(State {
        release: cx.app().name.clone(),
        namespace: cx.app().namespace.clone(),
        target: cx.target_name().to_owned(),
        revision: record.map_or(0, |record| record.revision),
        status: record.map_or("unknown", |record| record.info.status.as_str()).to_owned(),
        record: record.map(|record| described(connected, record)),
        newer: newer.map(|record| described(connected, record)),
        objects: states,
        notes: record
            .map(|record| connected.vault.redact_output(&record.info.notes))
            .unwrap_or_default(),
        addresses,
    })
}
