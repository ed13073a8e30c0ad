//! The step `apply`: desired, previous and live objects become waves of operations.

use crate::bindings::apply::exports::todohost::plugin::apply as wit;
use crate::{Error, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Operation, Request, Wave};

/// A planner: a pure function, without any capability.
pub trait Apply {
    /// What the project may set for the planner.
    type Options: DeserializeOwned;

    /// Decides what is applied, replaced, kept and deleted, and in which order. The host does it: the operations
    /// of a wave at the same time, waves one after the other.
    ///
    /// # Errors
    /// When the objects contradict each other.
    fn plan(options: Self::Options, request: Request) -> Result<Vec<Wave>>;
}

/// Turns an [`Apply`] into the export.
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Apply> wit::Guest for Adapter<T> {
    fn plan(request: Request) -> Result<Vec<Wave>, Error> {
        panic::report_panics();
        T::plan(options::parse(&request.options)?, request)
    }
}
