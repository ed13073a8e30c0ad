//! The step `check`: inspects one document per phase and reports findings.
//!
//! ```
//! use todohost_plugin::check::{CheckSpec, Phase};
//! use todohost_plugin::subject::Subject;
//! use todohost_plugin::{Check, Finding, NoOptions, Result};
//!
//! struct Readme;
//!
//! impl Check for Readme {
//!     type Options = NoOptions;
//!
//!     fn checks() -> Vec<CheckSpec> {
//!         vec![CheckSpec::new("readme", "The project has a README", [Phase::Source])]
//!     }
//!
//!     fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
//!         let found = subject.source()?.files.iter().any(|file| file == "README.md");
//!         Ok(vec![if found {
//!             Finding::passed("readme.found", "README.md exists")
//!         } else {
//!             Finding::warning("readme.missing", "the project has no README.md")
//!                 .help("add a README.md with the commands that start the app")
//!         }])
//!     }
//! }
//!
//! todohost_plugin::export!(Readme: check);
//! # fn main() {
//! # let subject = Subject::new(r#"{"phase": "source", "app": {"name": "a", "namespace": "a"},
//! #     "files": ["Makefile"]}"#).unwrap();
//! # assert_eq!(Readme::run("readme", NoOptions {}, &subject).unwrap()[0].code, "readme.missing");
//! # }
//! ```

use crate::bindings::check::exports::todohost::plugin::check as wit;
use crate::subject::Subject;
use crate::{Error, Finding, Label, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Phase, Spec as CheckSpec};

impl CheckSpec {
    /// A check that runs in the given phases, with a timeout of 10 seconds per run.
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

    /// Appends a row to the check's table: findings with this code are listed under the title. A row without a finding
    /// is listed as not judged.
    #[must_use]
    pub fn row(mut self, code: impl Into<String>, title: impl Into<String>) -> Self {
        self.rows.push(Label::new(code, title));
        self
    }

    /// Sets the timeout of one run; the host limits it to the range from 1 second to 10 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self
    }
}

/// Inspects a project, its objects or its target. One plugin can offer several checks.
pub trait Check {
    /// The options that a project can set under `[checks.NAME] options`.
    type Options: DeserializeOwned;

    /// Lists the checks of this plugin and the phases in which they run.
    fn checks() -> Vec<CheckSpec>;

    /// Runs the check with this id. A check without rows passes if it returns no findings.
    ///
    /// # Errors
    /// Fails if the check cannot judge the subject. A defect of the project is a finding, not an error.
    fn run(id: &str, options: Self::Options, subject: &Subject) -> Result<Vec<Finding>>;
}

/// Implements the component's export by a [`Check`].
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
