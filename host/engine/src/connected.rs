//! The connected cluster with the state of the release. The connect step gives it; most other steps take it.

use std::collections::HashSet;
use std::sync::Arc;

use super::context::{Access, Context, Deadline};
use super::error::RunError;
use crate::plan::Chosen;
use todohost_cluster::Client;
use todohost_model::event::{Bus, Finding};
use todohost_release::{Lease, Record, Store, Transaction};
use todohost_runtime::plugin::{CallContext, Plugin, Target};
use todohost_secrets::{Salt, Vault};

/// The cluster, and the release as its records describe it.
pub(super) struct Connected {
    pub cx: Arc<Context>,
    pub target: Chosen,
    pub client: Client,
    pub store: Store,
    pub lease: Lease,
    /// The newest revision, in any state.
    pub latest: Option<Record>,
    /// The current revision.
    pub deployed: Option<Record>,
    /// Newer revisions that a killed run had begun, or had begun to remove.
    pub interrupted: Vec<Record>,
    pub salt: Salt,
    pub vault: Arc<Vault>,
    /// This run started the cluster.
    pub was_started: bool,
}

impl Connected {
    /// The context together with this cluster.
    pub fn access(&self) -> Access<'_> {
        Access { cx: &self.cx, connected: Some(self) }
    }

    /// All that a call needs. `inputs` seeds the random numbers of the component.
    pub fn call(&self, bus: Bus, deadline: Deadline, inputs: &str) -> CallContext {
        self.access().call(bus, deadline, inputs)
    }

    /// Sends findings, redacted, and returns those that failed.
    pub fn report_findings(&self, bus: &Bus, findings: Vec<Finding>) -> Vec<Finding> {
        self.access().report_findings(bus, findings)
    }

    /// The target's own component, ready for one call.
    pub fn call_target(
        &self,
        bus: Bus,
        deadline: Deadline,
        inputs: &str,
    ) -> Result<Target, RunError> {
        Ok(self.target_plugin()?.target(self.call(bus, deadline, inputs))?)
    }

    /// The target's own component.
    pub fn target_plugin(&self) -> Result<Arc<Plugin>, RunError> {
        self.cx.plugin(&self.target)
    }

    /// The options of the target's component.
    pub fn target_options(&self) -> String {
        self.target.options.to_string()
    }

    /// A transaction of this run.
    pub fn transaction(&self, bus: &Bus) -> Transaction {
        let app = self.cx.app();
        Transaction {
            client: self.client.clone(),
            vault: Arc::clone(&self.vault),
            bus: bus.clone(),
            cancel: self.cx.cancel.clone(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            takeover: self.cx.run.takeover.clone(),
            definitions: HashSet::new(),
            unmigrated: HashSet::new(),
        }
    }

    /// The error if there is no release.
    pub fn not_deployed(&self) -> RunError {
        let app = self.cx.app();
        RunError::NotDeployed {
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            target: self.cx.target_name().to_owned(),
        }
    }
}
