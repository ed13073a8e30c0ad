//! Clock and randomness, both derived from the call's seed, so that equal calls give equal answers.

use rand_chacha::rand_core::RngCore;
use wasmtime::Result;

use crate::plugin::State;
use crate::plugin::wit::imports::env;

/// Most random bytes for one call.
const MAX_RANDOM: u32 = 64 * 1024;
/// Nanoseconds that the clock of a pure role advances at each reading.
const MOMENT: u64 = 1_000;

impl State {
    /// Nanoseconds since the call began. The clock of a pure role advances only when it is read.
    fn elapsed(&mut self) -> u64 {
        if self.role.is_pure() {
            self.moments += 1;
            return self.moments * MOMENT;
        }
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl env::Host for State {
    async fn now(&mut self) -> Result<u64> {
        self.facts.used_environment = true;
        let elapsed = if self.role.is_pure() { 0 } else { self.elapsed() };
        Ok(self.context.seed.now.saturating_add(elapsed))
    }

    async fn monotonic(&mut self) -> Result<u64> {
        Ok(self.elapsed())
    }

    async fn random(&mut self, len: u32) -> Result<Vec<u8>> {
        if len > MAX_RANDOM {
            return Err(wasmtime::format_err!(
                "cannot return {len} random bytes: the maximum of a call is {MAX_RANDOM}"
            ));
        }
        self.facts.used_environment = true;
        let mut bytes = vec![0; len as usize];
        self.random.fill_bytes(&mut bytes);
        Ok(bytes)
    }
}
