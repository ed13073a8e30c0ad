//! Reaching the cluster: connect where it runs, start it where it does not, read the release.

use std::sync::Arc;

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Reached, Session, lock};
use crate::cluster::{Client, ClusterError, Connection, Timeouts};
use crate::event::Bus;
use crate::plan::Chosen;
use crate::plugin::wit::target;
use crate::release::{Lease, Newest, Record, Store};
use crate::secret::{Salt, Vault};

impl Session {
    pub(super) async fn reach(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        // The usual case first: a cluster that runs is there after one request.
        let (client, started) = match self.connect(chosen, &bus).await {
            Ok(client) => (client, false),
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => (self.start(chosen, &bus, error).await?, true),
        };
        let app = &self.run.project.file.app;
        let client = client.until(self.cancel.clone());
        let store = Store::new(client.clone(), &app.namespace, &app.name);
        let lease = Lease::new(
            client.clone(),
            &app.namespace,
            &app.name,
            self.run.environment.person(),
            self.run.environment.cache_dir().join("leases"),
            self.run.lock_timeout.duration(),
        );
        if self.goal.changes_release() {
            self.wait_for_others(&lease, &bus).await?;
        }
        let (newest, salt) = self
            .or_cancelled(async {
                let (newest, salt) = tokio::join!(store.newest(), store.salt());
                Ok::<_, RunError>((newest?, salt?))
            })
            .await?;
        let Newest { latest, deployed, interrupted } = newest;
        let planned = || self.run.saved.as_ref().and_then(|saved| saved.salt());
        let salt = salt.or_else(planned).map_or_else(Salt::random, Ok)?;
        let vault = Arc::new(Vault::new(salt.clone()));
        for path in self.vault().paths() {
            if let Some(value) = self.vault().value(&path) {
                vault.insert(&path, value);
            }
        }
        let records = latest.iter().chain(&deployed).chain(&interrupted);
        let held: Vec<_> = records.flat_map(Record::secret_values).collect();
        vault.guard(&held);
        let revision = deployed.as_ref().map_or_else(
            || "no release yet".to_owned(),
            |record| format!("revision {} is deployed", record.revision),
        );
        let version = client.version().git_version.clone();
        let detail = format!("context {}, Kubernetes {version}, {revision}", client.context());
        let target = chosen.clone();
        let reached =
            Reached { target, client, store, lease, latest, deployed, interrupted, salt, vault };
        if self.reached.set(reached).is_err() {
            return Err(RunError::internal("the target was reached twice"));
        }
        Ok(if started { Report::done(detail) } else { Report::unchanged(detail) })
    }

    /// Waits for cluster work, unless the user stops it; the request is dropped then.
    pub(super) async fn or_cancelled<T, E: Into<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RunError::cancelled()),
            result = work => result.map_err(Into::into),
        }
    }

    async fn connect(&self, chosen: &Chosen, bus: &Bus) -> Result<Client, RunError> {
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus.clone(), Deadline::Short, &chosen.digest);
        let mut target = plugin.target(context.clone())?;
        let connection = match target.connect(chosen.options.to_string()).await? {
            target::Connection::Context(name) => Connection::Context(name),
            target::Connection::Command(command) => {
                Connection::Kubeconfig(plugin.output_for_host(&context, command).await?)
            }
        };
        let files = self.run.environment.kubeconfig();
        self.or_cancelled(Client::connect(&connection, &files, Timeouts::default())).await
    }

    /// Lets the target say what is wrong, and start what is stopped.
    async fn start(&self, chosen: &Chosen, bus: &Bus, why: RunError) -> Result<Client, RunError> {
        // Credentials that are refused are not cured by starting anything.
        if let RunError::Cluster(
            ClusterError::Unauthorised { .. } | ClusterError::Forbidden { .. },
        ) = &why
        {
            return Err(why);
        }
        let plugin = self.plugin(chosen)?;
        let options = chosen.options.to_string();
        let context = self.context(bus.clone(), Deadline::Long, &chosen.digest);
        let status = plugin.target(context.clone())?.detect(options.clone()).await?;
        if status.state == target::State::Ready {
            return Err(why);
        }
        let name = self.target.clone().unwrap_or_default();
        let detail = status.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        let detail = self.vault().redact(&detail);
        // Without an offer it can do nothing itself, and only says what the user has to do.
        if let Some(offer) = status.offer {
            let offer = self.vault().redact(&offer);
            if !self.run.may_start {
                return Err(RunError::NotStarted { target: name, detail, offer });
            }
            self.note(bus, "info", format!("{name} is not running{detail}; it will {offer}"));
            *lock(&self.being_started) = Some(offer);
        }
        plugin.target(context)?.ensure(options).await?;
        *lock(&self.being_started) = None;
        self.connect(chosen, bus).await
    }
}
