//! The one place that every powerful call of a component passes (invariant I3):
//! grant check → journal → the real call within its deadline → event.
//!
//! `env` and `log` do not come here: they need no grant, cannot wait, and are events themselves.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Capability;
use crate::plugin::State;
use crate::plugin::wit::{Error, ErrorKind};
use todohost_model::event::EventKind;

/// One call on its way through.
pub(crate) struct Passage {
    /// Interface.
    pub capability: Capability,
    /// Function in it.
    pub function: &'static str,
    /// The arguments in one line.
    pub detail: String,
    /// Most time that it may take.
    pub deadline: Duration,
}

impl State {
    /// Lets a call through, or not.
    pub(crate) async fn pass<T>(
        &mut self,
        passage: Passage,
        granted: Result<(), Error>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Passage { capability, function, detail, deadline } = passage;
        let began = Instant::now();
        let allowed = granted.is_ok();
        let result = if let Err(denied) = granted {
            Err(denied)
        } else {
            self.journal(capability);
            timeout(deadline, call).await.unwrap_or_else(|_| {
                let message =
                    format!("{capability}.{function} took longer than {deadline:?}: {detail}");
                Err(Error::new(ErrorKind::Timeout, "todohost.call.timeout", message))
            })
        };
        // One event for a call: its answer is known by now, or the lack of one.
        self.context.bus.send(EventKind::HostCall {
            plugin: self.plugin_id.clone(),
            function: format!("{capability}.{function}"),
            detail: self.shown(&detail),
            granted: allowed,
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        result
    }

    /// A text as events may carry it: redacted, printable and in a bound.
    pub(crate) fn shown(&self, text: &str) -> String {
        let text = self.context.world.vault.redact(text);
        let short = text.char_indices().nth(500).map_or(text.as_str(), |(end, _)| &text[..end]);
        super::log::printable(short)
    }

    fn journal(&mut self, capability: Capability) {
        let facts = &mut self.facts;
        match capability {
            Capability::Env => facts.used_environment = true,
            Capability::Process => facts.ran_programs = true,
            Capability::ClusterRead => facts.read_cluster = true,
            Capability::ClusterWrite => facts.wrote_cluster = true,
            Capability::HttpProbe | Capability::Tcp => facts.used_network = true,
            // Which files were read is noted where they are.
            Capability::Log | Capability::Workspace => {}
        }
    }
}
