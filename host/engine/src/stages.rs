//! The values that stages hand on. Each is written once, by the step that makes it, and only read afterwards.
//!
//! `Connected` → [`ImageSet`] → [`Rendered`] →
//! `ApplyPlan` → [`Applied`] → [`Verified`]. `steps.rs` shows which step takes and gives
//! which.

use std::collections::BTreeMap;

use todohost_model::object::Object;
use todohost_release::{Document, HookRecord};
use todohost_runtime::plugin::wit;

use super::render::CachedRender;

/// An image of the project, or of a revision, with its content tag.
#[derive(Clone, Debug)]
pub(super) struct ImageState {
    pub name: String,
    pub tag: String,
    /// `NAME:TAG`.
    pub reference: String,
    /// As the builder described it. Fields that are not known yet are empty.
    pub image: wit::Image,
    /// The target has the image: it answered so in this run.
    pub present: bool,
}

impl ImageState {
    /// An image of which only the reference is known.
    pub fn named(reference: &str) -> Self {
        let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
            reference: reference.to_owned(),
            image: image_named(name, reference),
            present: false,
        }
    }
}

/// An image of which neither id nor size nor platform is known.
pub(super) fn image_named(name: &str, reference: &str) -> wit::Image {
    wit::Image {
        name: name.to_owned(),
        reference: reference.to_owned(),
        id: String::new(),
        platform: String::new(),
        size: 0,
    }
}

/// The images of a run, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageSet(BTreeMap<String, ImageState>);

impl ImageSet {
    pub fn iter(&self) -> impl Iterator<Item = &ImageState> {
        self.0.values()
    }

    /// The images as components see them.
    pub fn for_components(&self) -> Vec<wit::Image> {
        self.iter().map(|state| state.image.clone()).collect()
    }

    /// The same with the states of `newer` in place of its own.
    pub fn updated(mut self, newer: Self) -> Self {
        self.0.extend(newer.0);
        self
    }
}

impl FromIterator<(String, ImageState)> for ImageSet {
    fn from_iter<T: IntoIterator<Item = (String, ImageState)>>(states: T) -> Self {
        Self(states.into_iter().collect())
    }
}

/// The objects of the app, with placeholders for secrets.
pub(super) struct Rendered {
    /// The images that the objects were rendered with.
    pub images: ImageSet,
    /// Definitions of kinds that the objects need and the release does not own.
    pub definitions: Vec<Document>,
    pub documents: Vec<Document>,
    pub hooks: Vec<HookRecord>,
    pub notes: String,
    pub chart: serde_json::Value,
    pub config: serde_json::Value,
    /// The same with placeholders in the hooks, too, so that it may be stored outside of the cluster. `None` for the
    /// objects of an older revision.
    pub cached: Option<CachedRender>,
    /// Digest of the component that rendered.
    pub renderer: String,
    /// Digest of chart, values and everything else that went in.
    pub inputs: String,
    /// The older revision that the objects come from, if nothing was rendered.
    pub from_revision: Option<u32>,
}

/// The state of the cluster after the apply step, changed or not.
pub(super) struct Applied {
    /// Definitions and objects as the cluster places them, with placeholders.
    pub objects: Vec<Object>,
    /// Addresses that the app is about to have, and whether something answered there before.
    pub answered_before: BTreeMap<String, bool>,
}

/// The app is healthy and its probes answered.
pub(super) struct Verified {
    /// Addresses of the Services that are open to the outside, or commands that forward to them.
    pub addresses: Vec<String>,
}
