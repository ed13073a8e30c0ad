//! Steps and what they need: the graph is data.

use std::fmt;

use serde::Serialize;

use super::{Chosen, Deletion, image_digest};
use crate::error::RunError;
use todohost_model::digest::Hasher;
use todohost_project::Image;

/// Names a step within its target, e.g. `build:todo-backend`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The action of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Connects to the cluster, starts it if it is stopped and the user agrees, and reads the release.
    Connect,
    /// Judges the state of the target and whether its cluster answers; starts nothing.
    Doctor,
    /// A check of target, sources and values.
    CheckInputs {
        /// Name in the project file.
        check: String,
    },
    /// Tags an image by the digest of its inputs.
    Inputs {
        /// Name of the image.
        image: String,
        /// Its entry in the project file.
        spec: Image,
    },
    /// Builds an image, unless the same one is there.
    Build {
        /// Name of the image.
        image: String,
        /// Its entry in the project file.
        spec: Image,
    },
    /// Renders the objects, twice.
    Render,
    /// A check of the rendered objects.
    CheckRendered {
        /// Name in the project file.
        check: String,
    },
    /// Brings images to the cluster.
    Deliver {
        /// A missing image is an error, since this run builds none.
        must_exist: bool,
    },
    /// Applies the objects as a new revision, if anything changed.
    Apply,
    /// Compares the objects with the cluster; changes nothing.
    Diff,
    /// Plans the changes and writes them to a plan file; changes nothing else.
    SavePlan,
    /// Loads a plan file as the desired state, if nothing drifted.
    CheckDrift,
    /// Waits until everything is healthy, and probes it.
    Verify,
    /// A check of the running app.
    CheckLive {
        /// Name in the project file.
        check: String,
    },
    /// Loads an older revision as the desired state.
    LoadRevision {
        /// Its number. Without one, the last good revision before the current one.
        revision: Option<u32>,
    },
    /// Runs the tests that the chart has.
    Test,
    /// Deletes the release.
    Delete {
        /// How.
        deletion: Deletion,
    },
}

impl Action {
    /// The step's name.
    pub fn id(&self) -> StepId {
        StepId(match self {
            Self::Connect => "connect".to_owned(),
            Self::Doctor => "doctor".to_owned(),
            Self::CheckInputs { check } => format!("check:{check}"),
            Self::Inputs { image, .. } => format!("inputs:{image}"),
            Self::Build { image, .. } => format!("build:{image}"),
            Self::Render => "render".to_owned(),
            Self::CheckRendered { check } => format!("check-objects:{check}"),
            Self::Deliver { .. } => "deliver".to_owned(),
            Self::Apply => "apply".to_owned(),
            Self::Diff => "diff".to_owned(),
            Self::SavePlan => "plan".to_owned(),
            Self::CheckDrift => "check-drift".to_owned(),
            Self::Verify => "verify".to_owned(),
            Self::CheckLive { check } => format!("check-live:{check}"),
            Self::LoadRevision { .. } => "load-revision".to_owned(),
            Self::Test => "test".to_owned(),
            Self::Delete { .. } => "delete".to_owned(),
        })
    }
}

/// One step of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// For people.
    pub title: String,
    /// The component that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Chosen>,
    /// Steps that must be over before it begins.
    pub needs: Vec<StepId>,
    /// Digest of the inputs that are known before the run.
    pub inputs: String,
    #[serde(flatten)]
    pub action: Action,
}

impl Step {
    /// A step; its name and digest come from the rest.
    pub fn new(action: Action, title: String, plugin: Option<Chosen>, needs: Vec<StepId>) -> Self {
        let id = action.id();
        let mut hasher = Hasher::new().part(&id.0);
        if let Some(plugin) = &plugin {
            hasher.add(&plugin.digest);
            hasher.add(plugin.options.to_string());
        }
        if let Action::Inputs { image, spec } | Action::Build { image, spec } = &action {
            hasher.add(image_digest(image, spec).finish());
        }
        Self { id, title, plugin, needs, inputs: hasher.finish(), action }
    }

    /// The component that takes the step.
    ///
    /// # Errors
    /// `Internal` for a plan that names none.
    pub(crate) fn component(&self) -> Result<&Chosen, RunError> {
        self.plugin.as_ref().ok_or_else(|| RunError::internal("a step without a plugin"))
    }
}
