//! The probes that the verify step names: whether the app answers.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::verifier;
use crate::connected::Connected;
use crate::error::RunError;
use crate::plan::Chosen;
use todohost_model::event::Bus;
use todohost_model::object::Object;
use todohost_runtime::plugin::wit::verify;

/// A pod may be ready before every route to it is: probes are repeated for this long.
const PROBES_WITHIN: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// Makes all probes at the same time. Returns their number.
pub(super) async fn run(
    connected: &Connected,
    chosen: &Chosen,
    objects: &[Object],
    bus: &Bus,
) -> Result<usize, RunError> {
    let documents = objects
        .iter()
        .filter(|object| object["kind"] != "Secret")
        .map(ToString::to_string)
        .collect();
    let options = chosen.options.to_string();
    let probes = verifier(connected, chosen, bus)?.probes(options, documents).await?;
    let count = probes.len();
    // A cluster that this run started reports pods as they were when it was stopped, until they are up again.
    let within = if connected.was_started {
        connected.cx.run.ready_within.duration().max(PROBES_WITHIN)
    } else {
        PROBES_WITHIN
    };
    let until = Instant::now() + within;
    let results = join_all(probes.into_iter().map(|probe| one_probe(connected, probe, until)));
    results.await.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(count)
}

async fn one_probe(
    connected: &Connected,
    probe: verify::Probe,
    until: Instant,
) -> Result<(), RunError> {
    let object = probe.object.clone().into();
    loop {
        let asked = connected.client.http_get(&object, probe.port, &probe.path, PROBE_TIMEOUT);
        let reason = match connected.cx.or_cancelled(asked).await {
            Ok(answer) if probe.expect_status.contains(&answer.status) => return Ok(()),
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body);
                let body: String = connected.vault.redact_output(&body).chars().take(200).collect();
                format!("{} answers {} {body}", probe.path, answer.status)
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            return Err(RunError::Probe { title: probe.title, reason });
        }
        sleep(PROBE_PAUSE).await;
    }
}
