//! The single path of every call that a component makes to a granted capability (invariant I3):
//! grant check → journal → the real call within its deadline → event.
//!
//! `env` and `log` do not use this path: they need no grant, cannot wait, and are events themselves.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Capability;
use crate::plugin::State;
use crate::plugin::wit::{Error, ErrorKind};
use todohost_model::event::EventKind;

/// A call of a component to the host.
pub(crate) struct HostCall {
    /// The interface.
    pub capability: Capability,
    /// The function of the interface.
    pub function: &'static str,
    /// The arguments in one line.
    pub detail: String,
    /// Maximum duration.
    pub deadline: Duration,
}

impl State {
    /// Runs `call` if it is granted, within its deadline, and sends one event about it.
    pub(crate) async fn call<T>(
        &mut self,
        host_call: HostCall,
        granted: Result<(), Error>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let HostCall { capability, function, detail, deadline } = host_call;
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
        // The event is sent after the call, so that it has the duration.
        self.context.bus.send(EventKind::HostCall {
            plugin: self.plugin_id.clone(),
            function: format!("{capability}.{function}"),
            detail: self.shown(&detail),
            granted: allowed,
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        result
    }

    /// A text for an event: redacted, printable and at most 500 characters long.
    pub(crate) fn shown(&self, text: &str) -> String {
        let text = self.context.environment.vault.redact(text);
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
            // `workspace` records the files that were read.
            Capability::Log | Capability::Workspace => {}
        }
    }
}
