//! Clock and randomness. Needs no grant.
//!
//! The host records both, so that a recorded call can be replayed exactly. In a step that is a pure function, `now`
//! returns the time of the deploy, and `random` is seeded from the step's inputs.
//!
//! ```no_run
//! use todohost_plugin::env;
//!
//! let begin = env::monotonic();
//! let suffix: String = env::random(4).iter().map(|byte| format!("{byte:02x}")).collect();
//! println!("made {suffix} in {:?}", env::monotonic() - begin);
//! ```

use crate::bindings::host::todohost::plugin::env as host;
use std::time::Duration;

/// Time since the Unix epoch.
pub fn now() -> Duration {
    Duration::from_nanos(host::now())
}

/// Time since an arbitrary moment; it never goes backwards. Use it to measure durations.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}

/// Returns `length` random bytes.
pub fn random(length: u32) -> Vec<u8> {
    host::random(length)
}
