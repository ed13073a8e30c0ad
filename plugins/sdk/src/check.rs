//! The step `check`: a judgement with findings.

use crate::bindings::check::exports::todohost::plugin::check as wit;
use crate::subject::Subject;
use crate::{Error, Finding, Label, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Phase, Spec as CheckSpec};

impl CheckSpec {
    /// A check that runs in these phases, for at most 10 seconds each.
    pub fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        phases: impl IntoIterator<Item = Phase>,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            phases: phases.into_iter().collect(),
            timeout_ms: 10_000,
            rows: Vec::new(),
        }
    }

    /// A row of the check's table, after those before: findings with this code are shown under the title. Where a
    /// check has rows, one that no finding names is shown as not judged.
    #[must_use]
    pub fn row(mut self, code: impl Into<String>, title: impl Into<String>) -> Self {
        self.rows.push(Label::new(code, title));
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self
    }
}

/// One or several checks.
pub trait Check {
    /// What the project may set under `[checks.NAME] options`.
    type Options: DeserializeOwned;

    /// The checks of this plugin and the phases in which they run.
    fn checks() -> Vec<CheckSpec>;

    /// Runs one of them. Where it has no rows, no finding is as good as one that passed.
    ///
    /// # Errors
    /// When the subject cannot be judged at all; what is wrong with the project is a finding, not an error.
    fn run(id: &str, options: Self::Options, subject: &Subject) -> Result<Vec<Finding>>;
}

/// Turns a [`Check`] into the export.
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Check> wit::Guest for Adapter<T> {
    fn checks() -> Vec<CheckSpec> {
        panic::report_panics();
        T::checks()
    }

    fn run(id: String, options: String, subject: String) -> Result<Vec<Finding>, Error> {
        panic::report_panics();
        T::run(&id, options::parse(&options)?, &Subject::new(&subject)?)
    }
}
