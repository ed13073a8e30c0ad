//! The step `apply`: compares desired, previous and live objects, and plans waves of operations.
//!
//! ```
//! use todohost_plugin::apply::{Operation, Request, Wave};
//! use todohost_plugin::{Apply, NoOptions, Result};
//!
//! struct SingleWave;
//!
//! impl Apply for SingleWave {
//!     type Options = NoOptions;
//!
//!     /// Applies all objects at the same time and deletes nothing.
//!     fn plan(_options: NoOptions, request: Request) -> Result<Vec<Wave>> {
//!         let operations = request.desired.into_iter().map(Operation::Apply).collect();
//!         Ok(vec![Wave { title: "objects".into(), operations, wait_for: Vec::new() }])
//!     }
//! }
//!
//! todohost_plugin::export!(SingleWave: apply);
//! # fn main() {
//! # let object = serde_json::json!({"kind": "Namespace"}).to_string();
//! # let request = Request { options: "{}".into(), release: "a".into(), namespace: "a".into(),
//! #     desired: vec![object], previous: Vec::new(), live: Vec::new() };
//! # assert_eq!(SingleWave::plan(NoOptions {}, request).unwrap()[0].operations.len(), 1);
//! # }
//! ```

use crate::bindings::apply::exports::todohost::plugin::apply as wit;
use crate::{Error, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Operation, Request, Wave};

/// Plans how objects are applied. A pure function: it has no capabilities.
pub trait Apply {
    /// The options that a project can set for the planner.
    type Options: DeserializeOwned;

    /// Decides which objects are applied, replaced, kept and deleted, and in which order. The host executes the plan:
    /// all operations of a wave at the same time, and one wave after the other.
    ///
    /// # Errors
    /// Fails if the objects contradict each other.
    fn plan(options: Self::Options, request: Request) -> Result<Vec<Wave>>;
}

/// Implements the component's export by an [`Apply`].
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Apply> wit::Guest for Adapter<T> {
    fn plan(request: Request) -> Result<Vec<Wave>, Error> {
        panic::report_panics();
        T::plan(options::parse(&request.options)?, request)
    }
}
