//! Clock and randomness. Always granted, and recorded by the host so that a call replays exactly: for a step that is
//! a pure function, `now` is the deploy's time and `random` is seeded from its inputs.

use crate::bindings::host::todohost::plugin::env as host;
use std::time::Duration;

/// Time since the Unix epoch.
pub fn now() -> Duration {
    Duration::from_nanos(host::now())
}

/// Time that never goes backwards; only differences mean something.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}

/// Random bytes.
pub fn random(length: u32) -> Vec<u8> {
    host::random(length)
}
