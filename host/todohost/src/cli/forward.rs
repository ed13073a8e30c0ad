//! `forward`: a port of this machine that leads to the app, until Ctrl-C.

use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, ForwardOptions, OutputFormat};
use todohost_engine;
use todohost_engine::{Forward, RunError};
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn forward(
        &self,
        common: &Common,
        options: &ForwardOptions,
    ) -> Result<(), RunError> {
        let run = Arc::new(self.open(common, &[], OwnershipPolicy::default())?);
        let named: Vec<String> = options.target.iter().cloned().collect();
        for target in self.named_targets(&run, &named).await? {
            let service = options.service.as_deref();
            let forward =
                Box::pin(todohost_engine::forward(&run, &target, service, options.port)).await?;
            self.show(common, &forward, &text(&forward, common.output))?;
            forward.serve().await?;
        }
        Ok(())
    }
}

fn text(forward: &Forward, format: OutputFormat) -> String {
    let Forward { address, service, namespace, target, .. } = forward;
    if format == OutputFormat::Name {
        return address.clone();
    }
    format!("{address} leads to Service/{service} in {namespace} on {target}, until Ctrl-C")
}
