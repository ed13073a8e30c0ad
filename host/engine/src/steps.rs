//! The wiring of a run: every action of a plan, with the values that it takes and gives.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use tokio::sync::Mutex;

use super::apply::revision::Revision;
use super::apply::{self, diff, plan_file, uninstall};
use super::check::{self, Judged};
use super::connect::{self, doctor};
use super::context::{Access, Context};
use super::error::RunError;
use super::images::{build, deliver, inputs};
use super::plan::{Action, Chosen, Goal, Step};
use super::render::{self, from_revision};
use super::scheduler::{Report, StepRunner};
use super::slots::Slots;
use super::verify;
use todohost_model::event::Bus;
use todohost_runtime::plugin::wit::check::Phase;

/// The steps of one target's run, with the values that they have handed on so far.
pub(super) struct Steps {
    pub cx: Arc<Context>,
    pub slots: Slots,
    /// Held by the apply step while it changes the cluster.
    pub revision: Mutex<Revision>,
}

impl Steps {
    pub fn new(cx: Arc<Context>) -> Self {
        Self { cx, slots: Slots::new(), revision: Mutex::default() }
    }

    /// The context with the cluster, if it is connected.
    fn access(&self) -> Access<'_> {
        Access { cx: &self.cx, connected: self.slots.connected.get().map(AsRef::as_ref) }
    }

    async fn check(
        &self,
        phases: &[Phase],
        name: &str,
        plugin: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let slots = &self.slots;
        let judged = Judged {
            images: &slots.images(),
            rendered: slots.rendered.get(),
            applied: slots.applied.get(),
        };
        check::run(self.access(), judged, name, plugin, bus, phases).await
    }

    async fn run_step(&self, step: &Step, bus: Bus) -> Result<Report, RunError> {
        let Self { cx, slots, revision } = self;
        let plugin = step.component()?;
        match &step.action {
            Action::Connect => {
                let connected = connect::run(cx, plugin, bus).await;
                let given = connected.and_then(|given| slots.connected.put(given));
                slots.connected.close();
                given
            }
            Action::Doctor => doctor::run(cx, slots, plugin, bus).await,
            Action::CheckInputs { check } => self.check(check::INPUTS, check, plugin, bus).await,
            Action::Inputs { image, spec } => {
                let connected = &slots.connected;
                let tagged = inputs::run(cx, connected, image, spec, plugin, bus).await?;
                Ok(slots.tagged.put(tagged))
            }
            Action::Build { image, spec } => {
                let (connected, tagged) = (self.access().connected, slots.tagged.need(image)?);
                let built = build::run(cx, connected, tagged, spec, plugin, bus).await?;
                Ok(slots.built.put(built))
            }
            Action::Render => {
                let tagged = slots.tagged.all();
                slots.rendered.put(render::run(self.access(), tagged, plugin, bus).await?)
            }
            Action::LoadRevision { revision } => {
                let connected = slots.connected.need()?;
                slots.rendered.put(from_revision::run(connected, *revision).await?)
            }
            Action::CheckDrift => {
                let connected = slots.connected.need()?;
                slots.rendered.put(plan_file::check_drift(connected, plugin, bus).await?)
            }
            Action::CheckRendered { check } => {
                self.check(check::RENDERED, check, plugin, bus).await
            }
            Action::Deliver { must_exist } => {
                let (connected, images) = (slots.connected.need()?, slots.images());
                let rendered = slots.rendered.get();
                deliver::run(connected, &images, rendered, *must_exist, plugin, bus).await
            }
            Action::Apply => {
                let (connected, rendered) = (slots.connected.need()?, slots.rendered.need()?);
                let (images, mut revision) = (slots.images(), revision.lock().await);
                let applied =
                    apply::run(connected, rendered, &images, &mut revision, plugin, bus).await?;
                slots.applied.put(applied)
            }
            Action::Diff => {
                let (connected, rendered) = (slots.connected.need()?, slots.rendered.need()?);
                let images = slots.images();
                slots.difference.put(diff::run(connected, rendered, &images, plugin, bus).await?)
            }
            Action::SavePlan => {
                let (connected, rendered) = (slots.connected.need()?, slots.rendered.need()?);
                let images = slots.images();
                let saved = plan_file::save(connected, rendered, &images, plugin, bus).await?;
                slots.difference.put(saved)
            }
            Action::Verify => {
                let (connected, applied) = (slots.connected.need()?, slots.applied.get());
                slots.verified.put(verify::run(connected, applied, plugin, bus).await?)
            }
            Action::CheckLive { check } => self.check(check::LIVE, check, plugin, bus).await,
            Action::Test => apply::test(slots.connected.need()?, bus).await,
            Action::Delete { deletion } => {
                uninstall::run(slots.connected.need()?, plugin, *deletion, bus).await
            }
        }
    }
}

impl StepRunner for Steps {
    fn run<'a>(&'a self, step: &'a Step, bus: Bus) -> LocalBoxFuture<'a, Result<Report, RunError>> {
        Box::pin(self.run_step(step, bus))
    }

    fn stops_at_failures(&self) -> bool {
        // These goals show everything that can be judged.
        !matches!(self.cx.goal, Goal::Check | Goal::Doctor)
    }
}
