//! Whether the app answers: the probes that the verify step names.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::plan::Chosen;
use crate::run::error::RunError;
use crate::run::session::Session;
use todohost_model::event::Bus;
use todohost_model::object::Object;
use todohost_runtime::plugin::wit::verify;

/// A ready pod is not yet routed to everywhere: probes are tried again for this long.
const PROBES_WITHIN: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// Makes the probes that the verify step names, all at the same time; gives their number.
    pub(super) async fn probe(
        &self,
        chosen: &Chosen,
        objects: &[Object],
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let documents = objects
            .iter()
            .filter(|object| object["kind"] != "Secret")
            .map(ToString::to_string)
            .collect();
        let probes =
            self.verifier(chosen, bus)?.probes(chosen.options.to_string(), documents).await?;
        let count = probes.len();
        // A cluster that this run started tells of pods as they were when it was stopped, until they are up again.
        let within = if self.was_started.load(Ordering::Relaxed) {
            self.run.ready_within.duration().max(PROBES_WITHIN)
        } else {
            PROBES_WITHIN
        };
        let until = Instant::now() + within;
        let results = join_all(probes.into_iter().map(|probe| self.one_probe(probe, until))).await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(count)
    }

    async fn one_probe(&self, probe: verify::Probe, until: Instant) -> Result<(), RunError> {
        let client = &self.reached()?.client;
        let object = probe.object.clone().into();
        loop {
            let asked = client.http_get(&object, probe.port, &probe.path, PROBE_TIMEOUT);
            let reason = match self.or_cancelled(asked).await {
                Ok(answer) if probe.expect_status.contains(&answer.status) => return Ok(()),
                Ok(answer) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let body: String =
                        self.vault().redact_output(&body).chars().take(200).collect();
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
}
