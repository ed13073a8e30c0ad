//! Slots for the values that stages hand on: written once, then read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::context::lock;
use super::error::RunError;
use super::scheduler::Report;
use super::stages::{Applied, ImageSet, ImageState, Rendered, Verified};
use todohost_model::event::Difference;

/// A value that one step writes and later steps read.
pub(super) struct Slot<T> {
    name: &'static str,
    value: OnceLock<T>,
    /// Cancelled when the value is there, or never will be.
    settled: CancellationToken,
}

impl<T> Slot<T> {
    fn new(name: &'static str) -> Self {
        Self { name, value: OnceLock::new(), settled: CancellationToken::new() }
    }

    /// Stores the value that a step gave.
    ///
    /// # Errors
    /// `Internal` if another step of the plan gave the same value.
    pub fn put(&self, (value, report): (T, Report)) -> Result<Report, RunError> {
        let name = self.name;
        self.value
            .set(value)
            .map_err(|_| RunError::internal(format!("two steps of the plan give `{name}`")))?;
        self.settled.cancel();
        Ok(report)
    }

    /// The value, if a step of the plan gave it.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value that the plan promises.
    ///
    /// # Errors
    /// `Internal` if the plan lets a step run before the one that it needs.
    pub fn need(&self) -> Result<&T, RunError> {
        let name = self.name;
        self.get().ok_or_else(|| RunError::internal(format!("no step of the plan gave `{name}`")))
    }

    /// No step will give the value any more.
    pub fn close(&self) {
        self.settled.cancel();
    }

    /// Waits until the value is there, or the slot is closed without one.
    pub async fn settled(&self) -> Option<&T> {
        self.settled.cancelled().await;
        self.get()
    }

    fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

/// Images, one value per image.
#[derive(Default)]
pub(super) struct ImageSlots(Mutex<BTreeMap<String, ImageState>>);

impl ImageSlots {
    pub fn put(&self, (state, report): (ImageState, Report)) -> Report {
        lock(&self.0).insert(state.name.clone(), state);
        report
    }

    /// The image that the plan promises.
    ///
    /// # Errors
    /// `Internal` if the plan builds an image before its inputs are known.
    pub fn need(&self, name: &str) -> Result<ImageState, RunError> {
        let found = lock(&self.0).get(name).cloned();
        found.ok_or_else(|| RunError::internal(format!("no step of the plan tags image `{name}`")))
    }

    /// The images so far.
    pub fn all(&self) -> ImageSet {
        lock(&self.0).clone().into_iter().collect()
    }
}

/// Every value that the steps of one target's plan may give.
pub(super) struct Slots {
    pub connected: Slot<Arc<Connected>>,
    /// Why the cluster cannot be connected, if that ends the run only after everything else was judged.
    pub unreachable: Slot<RunError>,
    pub tagged: ImageSlots,
    pub built: ImageSlots,
    pub rendered: Slot<Rendered>,
    pub difference: Slot<Difference>,
    pub applied: Slot<Applied>,
    pub verified: Slot<Verified>,
}

impl Slots {
    pub fn new() -> Self {
        Self {
            connected: Slot::new("connected"),
            unreachable: Slot::new("unreachable"),
            tagged: ImageSlots::default(),
            built: ImageSlots::default(),
            rendered: Slot::new("rendered"),
            difference: Slot::new("difference"),
            applied: Slot::new("applied"),
            verified: Slot::new("verified"),
        }
    }

    /// The images of the run as they are known now.
    pub fn images(&self) -> ImageSet {
        let tagged = match self.rendered.get() {
            Some(rendered) => rendered.images.clone(),
            None => self.tagged.all(),
        };
        tagged.updated(self.built.all())
    }

    /// Takes the error that ends the run although no step failed.
    pub fn take_unreachable(&mut self) -> Option<RunError> {
        let slot = std::mem::replace(&mut self.unreachable, Slot::new("unreachable"));
        slot.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_written_once_and_waited_for() {
        let slot = Slot::new("number");
        assert!(slot.need().unwrap_err().to_string().contains("no step of the plan gave `number`"));
        let (waited, put) =
            tokio::join!(slot.settled(), async { slot.put((7, Report::done("seven"))) });
        assert_eq!((waited, put.unwrap().detail.as_str()), (Some(&7), "seven"));
        let twice = slot.put((8, Report::done("eight"))).unwrap_err().to_string();
        assert!(twice.contains("two steps of the plan give `number`"), "{twice}");
        assert_eq!(slot.need().unwrap(), &7);
    }

    #[tokio::test]
    async fn a_closed_slot_ends_the_wait_without_a_value() {
        let slot = Slot::<u8>::new("number");
        slot.close();
        assert_eq!(slot.settled().await, None);
    }
}
